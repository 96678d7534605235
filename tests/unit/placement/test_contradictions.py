# SPDX-License-Identifier: MIT
"""Where promises cannot all be kept: that it is so, and which one gives way.

The order of weight decides, except that a list is never rewritten for an addition elsewhere.
"""

import dataclasses
import itertools

from app.placement import model
from tests.unit.placement import scenes


def preferring(name: str, *nodes: str, members: str, created: float) -> model.Wish:
    """Return a Service whose addresses are held by `nodes` already."""
    first = int(created) * 5
    free = itertools.islice(scenes.WIDE.addresses(4), first, first + len(nodes))
    held = tuple(
        model.Held(ordinal, address, (node, *sorted(set(members) - {node})), 1, created)
        for ordinal, (address, node) in enumerate(zip(free, nodes, strict=True), 1)
    )
    return scenes.wish(name, len(nodes), created=created, held=held)


def test_distinct_and_balanced_weigh_more_than_moving_only_to_a_node_that_joined():
    """More addresses than nodes: s has two on b, and with five nodes may not.

    One of them goes to the new node, which leaves b with one address. With ten addresses on five
    nodes balance is two each, and only a move to b can give it a second.
    """
    before = scenes.Scene(
        tuple("abcd"),
        (
            preferring("s", *"abbcd", members="abcd", created=0.0),
            preferring("t", *"acd", members="abcd", created=1.0),
            preferring("u", *"ad", members="abcd", created=2.0),
        ),
    )
    assert before.gap == 1
    sites = [(listed[0], "e") for listed in before.lists.values()]
    for nodes in itertools.product(*sites):
        held = {a: (node,) for a, node in zip(before.lists, nodes, strict=True)}
        distinct = all(
            len({held[child.address] for child in one.held}) == len(one.held)
            for one in before.services
        )
        assert not distinct or scenes.gap(scenes.loads(held, "abcde").values()) > 1

    after = before.with_nodes("abcde").settled()
    assert after.gap == 0
    elsewhere = [
        address
        for address, listed in before.lists.items()
        if after.lists[address][0] not in {listed[0], "e"}
    ]
    assert len(elsewhere) == 1


def test_stable_lists_stand_above_levelling_failures_when_a_service_is_added():
    """What was best for three Services one after another is not the best for all of them.

    The next join or removal makes up for it, in the fewest lists.
    """
    scene = scenes.Scene(("n0", "n1", "n2"))
    for one in scenes.wishes([3, 2, 1]):
        before = scene.lists
        scene = scene.with_services([*scene.services, one]).settled()
        assert before.items() <= scene.lists.items()
    groups = scenes.groups(scene.answer())
    worst = {
        node: (
            scenes.gap(scenes.loads(scene.lists, scene.nodes, [node]).values()),
            scenes.least_gap_after(node, scene.lists, groups, scene.nodes)[0],
        )
        for node in scene.nodes
    }
    assert (2, 0) in worst.values()

    joined = scene.with_nodes([*scene.nodes, "new"]).settled()
    groups = scenes.groups(joined.answer())
    for node in joined.nodes:
        gap = scenes.gap(scenes.loads(joined.lists, joined.nodes, [node]).values())
        assert gap == scenes.least_gap_after(node, joined.lists, groups, joined.nodes)[0]


def test_distinct_weighs_more_than_staying_when_a_lowered_count_takes_the_last_away():
    """The last two of seven addresses are the only ones on their node."""
    scene = scenes.Scene(tuple("abc"), (preferring("s", *"abaabcc", members="abc", created=0.0),))
    (one,) = scene.services
    after = scene.with_services([dataclasses.replace(one, ipv4=5)]).settled()
    assert all(gap <= 1 for gap in scenes.group_gaps(after.answer(), after.nodes))
    moved = [a for a in after.lists if after.lists[a][0] != scene.lists[a][0]]
    assert len(moved) == 1


def test_distinct_after_a_failure_weighs_more_than_a_siblings_list():
    """With three addresses on three nodes any two may meet; with two of them left they may not."""
    scene = scenes.Scene(("n0", "n1", "n2"), (scenes.wish(ipv4=3),)).settled()
    (one,) = scene.services
    after = scene.with_services([dataclasses.replace(one, ipv4=2)]).settled()
    for node in after.nodes:
        assert all(gap <= 1 for gap in scenes.group_gaps(after.answer(), after.nodes, [node]))
