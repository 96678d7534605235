# SPDX-License-Identifier: MIT
"""Promise 3: after the failure of any one node the survivors are level, and Services distinct."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes


@given(scene=scenes.fresh())
def test_after_a_fresh_placement_no_failure_leaves_a_gap_over_two(scene):
    for node in scene.nodes if len(scene.nodes) > 1 else ():
        assert scenes.gap(scenes.loads(scene.lists, scene.nodes, [node]).values()) <= 2


@given(scene=scenes.fresh(max_count=1), data=st.data())
def test_with_single_addresses_every_failure_leaves_the_rest_level(scene, data):
    for node in scene.nodes if len(scene.nodes) > 1 else ():
        assert scenes.gap(scenes.loads(scene.lists, scene.nodes, [node]).values()) <= 1


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(0, 2), data=st.data())
def test_a_service_stays_distinct_after_any_failure(scene, joined, data):
    left = data.draw(st.sets(st.sampled_from(scene.nodes), max_size=len(scene.nodes) - 1))
    changed = scene.with_nodes(
        [*sorted(set(scene.nodes) - left), *(f"j{n}" for n in range(joined))]
    )
    answer = changed.answer()
    for node in changed.nodes if len(changed.nodes) > 1 else ():
        assert all(gap <= 1 for gap in scenes.group_gaps(answer, changed.nodes, [node]))


@given(nodes=st.integers(4, 12), services=st.integers(1, 40))
def test_after_two_failures_an_address_is_still_held(nodes, services):
    names = scenes.balancer(nodes).nodes
    held = scenes.lists(scenes.decide(nodes, scenes.wishes([3] * services)))
    for failed in itertools.combinations(names, 2):
        assert sum(scenes.loads(held, names, failed).values()) == len(held)


def test_after_two_failures_a_large_balancer_is_nearly_level():
    names = scenes.balancer(20).nodes
    held = scenes.lists(scenes.decide(20, scenes.wishes([3] * 80)))
    gaps = [
        scenes.gap(scenes.loads(held, names, failed).values())
        for failed in itertools.combinations(names, 2)
    ]
    assert max(gaps) <= 4
    assert sum(gaps) / len(gaps) < 2.5


def test_a_list_names_every_member_up_to_sixteen():
    for nodes in (1, 2, 5, 16, 17, 40):
        held = scenes.lists(scenes.decide(nodes, scenes.wishes([2, 3])))
        for listed in held.values():
            assert len(listed) == len(set(listed)) == min(nodes, model.MAX_LISTED)


def test_the_last_stand_ins_are_the_nodes_of_the_siblings():
    held = scenes.lists(scenes.decide(6, [scenes.wish(ipv4=3)]))
    preferred = {nodes[0] for nodes in held.values()}
    for nodes in held.values():
        assert set(nodes[-2:]) == preferred - {nodes[0]}
