# SPDX-License-Identifier: MIT
"""Promise 2: the nodes of a balancer prefer as many addresses each, to within one."""

import collections

from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes


@given(scene=scenes.fresh())
def test_a_fresh_placement_is_level(scene):
    assert scene.gap <= 1


@given(scene=scenes.aged(scenes.fresh()), counts=st.lists(st.integers(1, 9), max_size=3))
def test_an_added_service_never_widens_a_gap_over_one(scene, counts):
    for number, count in enumerate(counts):
        before = scene.gap
        added = scenes.wish(f"added{number}", count, created=5000.0 + number)
        scene = scene.with_services([*scene.services, added]).settled()
        assert scene.gap <= max(1, before)


@given(scene=scenes.aged(scenes.fresh()))
def test_additions_fill_the_hole_that_deletions_left(scene):
    before = scene.loads
    least = min(before.values())
    added = scenes.wish("added", 1, created=5000.0)
    scene = scene.with_services([*scene.services, added]).settled()
    (taker,) = [node for node in scene.nodes if scene.loads[node] > before[node]]
    assert before[taker] == least


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(1, 3))
def test_a_join_never_leaves_a_wider_gap(scene, joined):
    after = scene.with_nodes([*scene.nodes, *(f"j{n}" for n in range(joined))]).settled()
    assert after.gap <= max(1, scene.gap)


@given(scene=scenes.aged(scenes.fresh()), data=st.data())
def test_a_removal_never_leaves_a_wider_gap(scene, data):
    survivors = data.draw(st.sets(st.sampled_from(scene.nodes), min_size=1))
    before = scenes.gap(count for node, count in scene.loads.items() if node in survivors)
    assert scene.with_nodes(sorted(survivors)).settled().gap <= max(1, before)


@given(counts=st.lists(st.integers(1, 3), min_size=1, max_size=12), nodes=st.integers(1, 6))
def test_both_families_count_together(counts, nodes):
    both = [
        scenes.wish(f"s{n}", count, ipv6=count, created=float(n)) for n, count in enumerate(counts)
    ]
    held = scenes.lists(scenes.decide(nodes, both))
    assert scenes.gap(scenes.loads(held, scenes.balancer(nodes).nodes).values()) <= 1


def test_no_node_gets_one_family_and_another_the_other():
    both = [scenes.wish(f"s{n}", 1, ipv6=1, created=float(n)) for n in range(6)]
    held = scenes.lists(scenes.decide(2, both))
    families = collections.Counter((nodes[0], a.version) for a, nodes in held.items())
    assert set(families.values()) == {3}


def test_many_small_balancers_do_not_all_choose_the_same_node():
    nodes = ("a", "b", "c", "d")
    chosen: collections.Counter[str] = collections.Counter()
    for uid in range(400):
        one = model.Balancer(f"balancer-{uid}", scenes.WIDE, nodes)
        (listed,) = scenes.lists(scenes.decide(one, [scenes.wish()])).values()
        chosen[listed[0]] += 1
    assert set(chosen) == set(nodes)
    assert min(chosen.values()) > 60
