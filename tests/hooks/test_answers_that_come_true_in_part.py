# SPDX-License-Identifier: MIT
"""Metacontroller passes over a child that a speaker has just written to, and may die in between."""

import collections
import copy
import itertools
import random

import pytest

from bench import requests
from contract import names


def crowd(world, members, services):
    world.respec(ipCount=1, addressPool=["10.0.0.0/22"])
    world.nodes.clear()
    world.add(*(requests.node(f"n{number:03}", images=0) for number in range(members)))
    world.add(*(requests.service(f"web-{number:03}") for number in range(services)))
    rest(world)


def rest(world):
    """Sync the balancer, which is all that matters here, until nothing is written any more."""
    for _ in range(5):
        before = world.writes
        world.sync_balancer("front")
        if world.writes == before:
            return
    pytest.fail("the balancer never comes to rest")


def join(world, *nodes):
    world.add(*(requests.node(node, images=0) for node in nodes))


def first(child):
    return child["metadata"]["annotations"][names.CHILD_NODES].split(",")[0]


def preferred(world):
    counts = collections.Counter(dict.fromkeys(world.nodes, 0))
    counts.update(map(first, world.children.values()))
    return counts


def gap(world):
    return max(preferred(world).values()) - min(preferred(world).values())


def sync_in_part(world, writes, *, status=True):
    """Sync; of the children that would change, only those are written that `writes` lets be."""
    parent = world.balancers["front"]
    children, before = dict(world.children), copy.deepcopy(parent.get("status"))
    answer = world.sync_balancer("front")
    for key, child in children.items():
        if world.children.get(key) != child and not writes():
            world.children[key] = child
    if not status:
        parent["status"] = before
    return answer


def named(world):
    return [node["name"] for node in world.balancers["front"]["status"]["nodes"]]


def every(count):
    """True once in so many calls."""
    turns = itertools.cycle([True, *[False] * (count - 1)])
    return lambda: next(turns)


@pytest.mark.parametrize("status", [True, False])
def test_a_join_that_was_written_in_part_is_finished(world, status):
    crowd(world, 4, 32)
    before = dict(world.children)
    join(world, "new")
    sync_in_part(world, every(5), status=status)
    assert gap(world) > 1
    rest(world)
    assert preferred(world)["new"] == 6
    moved = {key for key, child in before.items() if first(world.children[key]) != first(child)}
    assert {first(world.children[key]) for key in moved} == {"new"}
    assert len(moved) == 6


def test_until_a_join_is_finished_the_status_does_not_name_the_node_but_counts_it(world):
    crowd(world, 3, 9)
    join(world, "new")
    sync_in_part(world, lambda: False)
    status = world.balancers["front"]["status"]
    assert (named(world), status["nodeCount"]) == (["n000", "n001", "n002"], 4)
    rest(world)
    status = world.balancers["front"]["status"]
    assert (named(world), status["nodeCount"]) == (["n000", "n001", "n002", "new"], 4)


def test_until_a_removal_is_finished_the_status_names_the_node_and_does_not_count_it(world):
    crowd(world, 3, 9)
    del world.nodes["n001"]
    sync_in_part(world, lambda: False)
    status = world.balancers["front"]["status"]
    assert (named(world), status["nodeCount"]) == (["n000", "n001", "n002"], 2)
    assert status["nodes"][1]["preferred"] == 0
    rest(world)
    assert named(world) == ["n000", "n002"]


def test_a_balancer_without_services_names_a_node_at_once(world):
    world.sync_balancer("front")
    join(world, "new")
    world.sync_balancer("front")
    assert named(world) == ["n1", "n2", "n3", "new"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("members", "each"), [(5, 4), (96, 2)])
def test_whatever_is_written_of_joins_and_removals_they_are_finished(world, members, each, seed):
    chosen = random.Random(seed)
    crowd(world, members, each * members)
    for number in range(3):
        if chosen.random() < 0.5:
            del world.nodes[chosen.choice(sorted(world.nodes))]
        join(world, f"{chosen.choice('az')}{number}")
        for _ in range(chosen.randint(1, 3)):
            sync_in_part(
                world,
                lambda: chosen.random() < 0.4,
                status=chosen.random() < 0.5,
            )
    rest(world)
    assert gap(world) <= 1
    assert named(world) == sorted(world.nodes)


@pytest.mark.parametrize("new", ["a", "z"])
def test_a_join_of_more_than_the_status_can_name_takes_its_share(world, new):
    crowd(world, 104, 208)
    join(world, new)
    rest(world)
    assert preferred(world)[new] > 0
    assert gap(world) <= 1
    assert named(world) == sorted(world.nodes)[:100]


@pytest.mark.parametrize("new", ["a", "z"])
def test_a_join_fills_no_hole_that_deletions_left(world, new):
    crowd(world, 60, 180)
    for node in sorted(world.nodes)[-2:]:
        for key in [key for key, child in world.children.items() if first(child) == node]:
            del world.services[key.removesuffix("-l2-1")]
            del world.children[key]
    rest(world)
    before = dict(world.children)
    join(world, new)
    sync_in_part(world, every(2))
    rest(world)
    moved = {key for key, child in before.items() if first(world.children[key]) != first(child)}
    assert {first(world.children[key]) for key in moved} == {new}
    assert len(moved) == preferred(world)[new] in (2, 3)


def test_a_child_that_cannot_be_written_keeps_nothing_moving(world):
    crowd(world, 3, 9)
    join(world, "new")
    stuck = [key for key in world.children if "web-00" in key][:5]
    before = {key: world.children[key] for key in stuck}
    for _ in range(3):
        world.sync_balancer("front")
        world.children |= before
    writes, last = world.writes, world.answers["front"]
    answer = world.sync_balancer("front")
    refused = [key for key, child in before.items() if world.children[key] != child]
    assert answer == last
    assert world.writes - writes == len(refused) > 0


def test_children_on_their_way_out_or_never_there_keep_no_join_unfinished(world):
    world.forbidden = {"shop/web-003-l2-1", "shop/web-004-l2-1"}
    crowd(world, 3, 9)
    going = world.children["shop/web-001-l2-1"]
    going["metadata"]["deletionTimestamp"] = world.clock.text
    join(world, "new")
    world.sync_balancer("front")
    world.children["shop/web-001-l2-1"] = going
    world.sync_balancer("front")
    assert "new" in named(world)


def test_a_status_that_was_wiped_moves_nobody(world):
    crowd(world, 5, 23)
    children = dict(world.children)
    del world.balancers["front"]["status"]
    rest(world)
    assert world.children == children
    assert named(world) == sorted(world.nodes)
