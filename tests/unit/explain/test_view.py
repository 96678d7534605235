# SPDX-License-Identifier: MIT
import copy
import dataclasses
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explain import model, reading, view
from contract.names import EXCLUDE_LABEL
from tests.unit.explain import scenes


def counts(nodes: tuple[model.NodeView, ...]) -> dict[str, tuple[int, int]]:
    return {one.name: (one.desired, one.held) for one in nodes}


def test_a_cluster_in_which_all_is_well_is_good():
    found = view.view(scenes.served())
    assert found.level is model.Level.GOOD
    (front,) = found.balancers
    assert front.state is model.BalancerState.READY
    assert front.pool == ("192.0.2.10-192.0.2.50",)
    assert front.families == (model.Family(4, 41, 3, 38),)
    assert front.services == found.services
    assert counts(front.nodes) == counts(found.nodes) == dict.fromkeys(("n1", "n2", "n3"), (1, 1))


def test_a_dead_node_is_seen_where_it_matters():
    objects = dataclasses.replace(
        scenes.served(), nodes=[scenes.node("n1", ready="Unknown"), *scenes.nodes()[1:]]
    )
    found = view.view(objects)
    dead = found.balancers[0].nodes[0]
    assert (dead.name, dead.member, dead.fit) == ("n1", True, False)
    assert found.services[0].state is model.ServiceState.TROUBLED


def test_a_node_that_lists_still_name_is_shown_though_it_is_gone():
    objects = dataclasses.replace(scenes.served(), nodes=scenes.nodes()[1:])
    gone = view.view(objects).nodes[0]
    assert (gone.name, gone.exists, gone.member, gone.desired) == ("n1", False, False, 1)


def test_an_excluded_node_is_shown_with_the_reason():
    excluded = scenes.node("n4", labels={EXCLUDE_LABEL: ""})
    objects = dataclasses.replace(scenes.served(), nodes=[*scenes.nodes(), excluded])
    (front,) = view.view(objects).balancers
    assert not front.nodes[3].member
    assert EXCLUDE_LABEL in front.nodes[3].why


def test_a_node_that_concerns_nobody_is_not_shown():
    other = scenes.node("db")
    other["metadata"]["labels"] = {}
    objects = dataclasses.replace(scenes.served(), nodes=[*scenes.nodes(), other])
    assert "db" not in counts(view.view(objects).nodes)


def test_a_shared_address_counts_once():
    objects = dataclasses.replace(
        scenes.served(),
        services=[*scenes.served().services, scenes.service("api"), scenes.child_of("api")],
    )
    assert counts(view.view(objects).nodes)["n1"] == (1, 1)


def test_addresses_without_their_service_belong_to_the_balancer():
    objects = dataclasses.replace(scenes.served(), services=[scenes.child_of()])
    found = view.view(objects)
    assert found.services == ()
    assert [str(one.address) for one in found.balancers[0].addresses] == ["192.0.2.10"]


def test_a_balancer_is_unanswered_until_a_hook_has_seen_its_generation():
    changed = scenes.balancer()
    changed["metadata"]["generation"] = 2
    found = view.view(reading.Objects(balancers=[changed]))
    assert found.balancers[0].state is model.BalancerState.UNANSWERED
    assert "generation 2" in found.balancers[0].summary


def test_a_service_of_a_balancer_that_is_not_there_is_shown():
    found = view.view(reading.Objects(services=[scenes.service()]))
    assert [one.name for one in found.services] == ["web"]
    assert found.balancers == ()
    assert found.level is model.Level.BROKEN


def test_an_edited_child_is_a_problem_and_its_siblings_go_on():
    objects = copy.deepcopy(scenes.served())
    objects.services[1]["metadata"]["annotations"]["l2lb.io/address"] = "not one"
    found = view.view(objects)
    assert len(found.services[0].addresses) == 2
    (problem,) = found.problems
    assert "shop/web-l2-1" in problem
    assert "'not one'" in problem


def test_what_comes_twice_is_shown_once():
    once = scenes.served()
    twice = dataclasses.replace(once, services=[*once.services, *once.services])
    assert view.view(twice) == view.view(once)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_lists_changes_nothing(dice: random.Random):
    objects = scenes.served()
    shuffled = dataclasses.replace(
        objects,
        services=dice.sample(objects.services, len(objects.services)),
        nodes=dice.sample(scenes.nodes(), 3),
    )
    assert view.view(shuffled) == view.view(objects)


SPLINTERS = st.sampled_from(
    [None, "", "x", -1, 2**70, 0.5, True, [], [None], {}, {"a": 1}, [["x"]], "\N{SNOWMAN}"]
)
LISTS = st.sampled_from(["balancers", "services", "nodes", "events"])


@given(st.data())
def test_a_broken_object_never_stops_the_rest(data):
    whole = dataclasses.replace(
        scenes.served(), events=[scenes.moved("192.0.2.10", "n2", "n1", scenes.SINCE)]
    )
    name = data.draw(LISTS)
    items = list(getattr(whole, name))
    number = data.draw(st.integers(0, len(items) - 1))
    path = data.draw(st.sampled_from(scenes.paths(items[number])))
    items[number] = scenes.broken(items[number], path, data.draw(SPLINTERS))
    found = view.view(dataclasses.replace(whole, **{name: items}))
    json.dumps(model.plain(found))
    if name != "balancers":
        (front,) = found.balancers
        shown = {one.child for one in front.addresses}
        broken = {f"web-l2-{number}"} if name == "services" else set()
        assert {"web-l2-1", "web-l2-2", "web-l2-3"} - broken <= shown


@given(st.lists(SPLINTERS), st.lists(SPLINTERS), st.lists(SPLINTERS), st.lists(SPLINTERS))
def test_lists_of_anything_at_all_become_problems(balancers, services, nodes, events):
    found = view.view(reading.Objects(balancers, services, nodes, events))
    assert [*found.balancers, *found.services, *found.nodes] == []
    shaped = [one for one in services if isinstance(one, dict)]  # and of no concern to us
    assert len(found.problems) == len([*balancers, *nodes, *services]) - len(shaped)


@pytest.mark.parametrize("name", ["services", "nodes"])
def test_a_name_from_a_user_stays_as_it_is(name):
    objects = copy.deepcopy(scenes.served())
    getattr(objects, name)[0]["metadata"]["name"] = "<script>"
    assert "<script>" in json.dumps(model.plain(view.view(objects)))


def test_who_may_not_see_nodes_sees_the_rest():
    found = view.view(dataclasses.replace(scenes.served(), nodes=None))
    assert found.services[0].state is model.ServiceState.SERVED
    assert counts(found.nodes) == dict.fromkeys(["n1", "n2", "n3"], (1, 1))
    assert "may not be seen" in found.nodes[0].why
