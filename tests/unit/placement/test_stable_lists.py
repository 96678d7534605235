# SPDX-License-Identifier: MIT
"""Promise 5: a list is rewritten only with a reason, and its version says so."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.placement import scenes


def versions(scene: scenes.Scene) -> dict:
    return {child.address: child.list_version for one in scene.services for child in one.held}


@given(scene=scenes.aged(scenes.fresh()))
def test_an_answer_that_came_true_is_answered_again(scene):
    answer = scene.answer(known=frozenset(scene.nodes))
    assert scenes.lists(answer) == scene.lists
    assert {c.list_version for o in answer.outcomes for c in o.assigned} == set(
        versions(scene).values()
    )


@given(scene=scenes.fresh(), count=st.integers(1, 9), data=st.data())
def test_additions_and_deletions_rewrite_no_list(scene, count, data):
    kept = [one for one in scene.services if data.draw(st.booleans())]
    added = scenes.wish("added", count, created=5000.0)
    after = scene.with_services([*kept, added]).settled()
    for one in kept:
        assert one in after.services


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(0, 2), data=st.data())
def test_a_rewritten_list_has_the_next_version_and_another_keeps_its_own(scene, joined, data):
    left = data.draw(st.sets(st.sampled_from(scene.nodes), max_size=len(scene.nodes) - 1))
    after = scene.with_nodes(
        [*sorted(set(scene.nodes) - left), *(f"j{n}" for n in range(joined))]
    ).settled()
    old, new = versions(scene), versions(after)
    for address, listed in scene.lists.items():
        assert new[address] == old[address] + (after.lists[address] != listed)


def test_a_new_list_has_version_one():
    scene = scenes.Scene(("a", "b"), tuple(scenes.wishes([2, 1]))).settled()
    assert set(versions(scene).values()) == {1}


@given(scene=scenes.fresh(), data=st.data())
def test_a_removal_rewrites_the_lists_that_named_the_node(scene, data):
    if len(scene.nodes) < 2:
        return
    gone = data.draw(st.sampled_from(scene.nodes))
    after = scene.with_nodes([node for node in scene.nodes if node != gone]).settled()
    assert not any(gone in listed for listed in after.lists.values())


def test_a_join_to_a_large_balancer_rewrites_few_lists():
    scene = scenes.Scene(scenes.balancer(30).nodes, tuple(scenes.wishes([3] * 60))).settled()
    after = scene.with_nodes([*scene.nodes, "new"]).settled()
    rewritten = sum(after.lists[address] != listed for address, listed in scene.lists.items())
    assert rewritten < len(scene.lists) / 4


def test_a_list_too_short_for_two_failures_is_filled_up_after_a_join():
    scene = scenes.Scene(("a", "b"), (scenes.wish(ipv4=2),)).settled()
    after = scene.with_nodes(["a", "b", "c"]).settled()
    assert {len(listed) for listed in after.lists.values()} == {3}
    assert {a: listed[0] for a, listed in after.lists.items()} == {
        a: listed[0] for a, listed in scene.lists.items()
    }


def test_without_members_the_lists_stay_as_they_are():
    """The selector may be wrong for a moment, or the Nodes not read yet."""
    scene = scenes.Scene(("a", "b"), (scenes.wish(ipv4=2),)).settled()
    assert scenes.lists(scene.with_nodes([]).answer()) == scene.lists


def test_a_child_that_gets_another_address_keeps_its_list():
    scene = scenes.Scene(("a", "b", "c"), (scenes.wish(ipv4=2),)).settled()
    (one,) = scene.services
    first = dataclasses.replace(one.held[0], reported_in_use=True)
    told = scene.with_services([dataclasses.replace(one, held=(first, one.held[1]))]).settled()
    child = told.services[0].held[0]
    assert child.address != first.address
    assert (child.nodes, child.list_version) == (first.nodes, first.list_version)
