# SPDX-License-Identifier: MIT
"""Promise 1: the addresses of one Service sit on different nodes while there are enough."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes


def test_five_addresses_of_one_service_sit_on_five_nodes():
    for uid in range(200):
        balancer = model.Balancer(str(uid), scenes.WIDE, ("a", "b", "c", "d", "e"))
        held = scenes.lists(scenes.decide(balancer, [scenes.wish(ipv4=5)]))
        assert len({nodes[0] for nodes in held.values()}) == 5


@given(scene=scenes.fresh())
def test_no_node_has_two_more_addresses_of_a_service_than_another(scene):
    assert all(gap <= 1 for gap in scenes.group_gaps(scene.answer(), scene.nodes))


@given(scene=scenes.fresh(max_count=7))
def test_with_enough_nodes_a_service_has_one_address_a_node(scene):
    for one in scene.services:
        holders = [child.nodes[0] for child in one.held]
        assert len(set(holders)) == min(len(holders), len(scene.nodes))


@given(scene=scenes.aged(scenes.fresh()), data=st.data())
def test_it_holds_whatever_joins_and_leaves(scene, data):
    joined = [f"j{number}" for number in range(data.draw(st.integers(0, 3)))]
    left = data.draw(st.sets(st.sampled_from(scene.nodes), max_size=len(scene.nodes) - 1))
    changed = scene.with_nodes([*(set(scene.nodes) - left), *joined])
    assert all(gap <= 1 for gap in scenes.group_gaps(changed.answer(), changed.nodes))


@given(scene=scenes.fresh(), data=st.data())
def test_it_holds_when_counts_change(scene, data):
    changed = scene.with_services(
        dataclasses.replace(one, ipv4=data.draw(st.integers(0, 12))) for one in scene.services
    )
    assert all(gap <= 1 for gap in scenes.group_gaps(changed.answer(), changed.nodes))


@given(counts=st.lists(st.integers(1, 5), min_size=1, max_size=6), nodes=st.integers(1, 6))
def test_the_families_of_a_service_are_apart(counts, nodes):
    both = [
        scenes.wish(f"s{n}", count, ipv6=count, created=float(n)) for n, count in enumerate(counts)
    ]
    answer = scenes.decide(nodes, both)
    assert len(scenes.groups(answer)) == 2 * len(counts)
    assert all(gap <= 1 for gap in scenes.group_gaps(answer, scenes.balancer(nodes).nodes))
