# SPDX-License-Identifier: MIT
"""Up to 5 nodes and 6 addresses every other way is looked at: none is better."""

import collections
import functools
import itertools

import pytest
from hypothesis import given

from app.placement import loads
from tests.unit.placement import scenes


def partitions(total: int, largest: int) -> list[tuple[int, ...]]:
    """Return every way to share addresses among Services, the larger ones first."""
    if not total:
        return [()]
    return [
        (first, *rest)
        for first in range(min(total, largest), 0, -1)
        for rest in partitions(total - first, first)
    ]


def mixes(addresses: int) -> list[tuple[int, ...]]:
    """Return the counts of Services with so many addresses in all, in every order of creation."""
    return sorted(
        {
            order
            for counts in partitions(addresses, addresses)
            for order in itertools.permutations(counts)
        }
    )


@functools.cache
def best_after_failures(counts: tuple[int, ...], nodes: int) -> int:
    """Return the least gap after the worst failure that any level, distinct placement allows."""
    best = sum(counts)
    ways = [scenes.even_spreads(count, nodes) for count in counts]
    for spread in itertools.product(*ways):
        totals = [sum(column) for column in zip(*spread, strict=True)]
        if scenes.gap(totals) <= 1:
            worst = max(_least_gap(spread, totals, failed, best) for failed in range(nodes))
            best = min(best, worst)
        if best == 0:
            break
    return best


def _least_gap(spread, totals, failed: int, enough: int) -> int:
    survivors = [node for node in range(len(totals)) if node != failed]
    orphans = [group for group, counts in enumerate(spread) for _ in range(counts[failed])]
    best = enough
    for firsts in itertools.product(survivors, repeat=len(orphans)):
        gained = collections.Counter(zip(orphans, firsts, strict=True))
        if all(
            scenes.gap(spread[group][node] + gained[group, node] for node in survivors) <= 1
            for group in orphans
        ):
            taken = collections.Counter(firsts)
            best = min(best, scenes.gap(totals[node] + taken[node] for node in survivors))
    return best


@pytest.mark.parametrize("nodes", [2, 3, 4, 5])
@pytest.mark.parametrize("addresses", [1, 2, 3, 4, 5, 6])
def test_a_fresh_placement_is_the_best_there_is_on_promises_1_to_3(nodes, addresses):
    names = scenes.balancer(nodes).nodes
    for counts in mixes(addresses):
        answer = scenes.decide(nodes, scenes.wishes(counts))
        held = scenes.lists(answer)
        assert all(gap <= 1 for gap in scenes.group_gaps(answer, names))
        assert scenes.gap(scenes.loads(held, names).values()) <= 1
        worst = max(scenes.gap(scenes.loads(held, names, [node]).values()) for node in names)
        if worst > 1:  # less than two is as good as can be: it depends on what divides
            assert worst == best_after_failures(tuple(sorted(counts)), nodes)


def failures(scene: scenes.Scene, held: scenes.Lists, before: scenes.Lists):
    """Yield for each node: gap after its failure, the least possible, lists changed, the fewest."""
    groups = scenes.groups(scene.answer())
    for node in scene.nodes:
        least, fewest = scenes.least_gap_after(node, before, groups, scene.nodes)
        gap = scenes.gap(scenes.loads(held, scene.nodes, [node]).values())
        changed = sum(
            held[address] != listed for address, listed in before.items() if listed[0] == node
        )
        yield gap, least, changed, fewest


@given(scene=scenes.small())
def test_the_first_stand_ins_are_the_best_that_the_preferred_nodes_allow(scene):
    for gap, least, _, _ in failures(scene, scene.lists, scene.lists):
        assert gap == least


@given(scene=scenes.aged(scenes.small(max_nodes=4)))
def test_a_join_moves_and_rewrites_as_little_as_levels_every_failure(scene):
    after = scene.with_nodes([*scene.nodes, "new"]).settled()
    moved = {a for a, listed in scene.lists.items() if after.lists[a][0] != listed[0]}
    # What moved is rewritten in any case; what stayed is compared with its list of before.
    before = {a: after.lists[a] if a in moved else listed for a, listed in scene.lists.items()}
    for gap, least, changed, fewest in failures(after, after.lists, before):
        assert gap == least
        assert changed <= fewest or len(scene.nodes) < 3


@given(scene=scenes.aged(scenes.small()))
def test_a_removal_moves_only_as_many_others_as_balance_needs(scene):
    for gone in scene.nodes:
        survivors = [node for node in scene.nodes if node != gone]
        after = scene.with_nodes(survivors).settled()
        stays = {a: scenes.holder(listed, [gone]) for a, listed in scene.lists.items()}
        moved = sum(after.lists[address][0] != node for address, node in stays.items())
        before = scenes.gap(count for node, count in scene.loads.items() if node != gone)
        assert moved == fewest_moves(stays, after, max(1, before))
        for result, least, _, _ in failures(after, after.lists, after.lists):
            assert len(survivors) < 2 or result == least


def fewest_moves(stays, after: scenes.Scene, allowed: int) -> int:
    """Return the fewest addresses to move so that no gap is over what is allowed."""
    groups = scenes.groups(after.answer())
    addresses = list(stays)
    best = len(addresses)
    for nodes in itertools.product(after.nodes, repeat=len(addresses)):
        moves = sum(stays[a] != node for a, node in zip(addresses, nodes, strict=True))
        held = dict(zip(addresses, ((node,) for node in nodes), strict=True))
        if (
            moves < best
            and loads.gap(scenes.loads(held, after.nodes)) <= allowed
            and all(
                loads.gap(scenes.loads({a: held[a] for a in group}, after.nodes)) <= 1
                for group in groups
            )
        ):
            best = moves
    return best
