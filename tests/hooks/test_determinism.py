# SPDX-License-Identifier: MIT
import ipaddress
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.balancer import memory, picture, placed
from bench import requests
from contract import names

REMEMBERING = (memory._one, picture._service, picture._node, picture._namespace)
ORDERED = {
    "ports",
    "ipFamilies",
    "addressPool",
    "conditions",
    "ingress",
}  # lists that mean an order


def shuffled(value: Any, order: random.Random, key: str = "") -> Any:
    """The same value with maps, and lists without a meaning of order, in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(one, order, name)) for name, one in value.items()]
        order.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = [shuffled(one, order) for one in value]
        if key not in ORDERED:
            order.shuffle(items)
        return items
    return value


@pytest.fixture
def lived_in(world):
    """A world with a past: served, waiting, shared, odd and foreign things."""
    world.respec(addressPool=["192.0.2.10-192.0.2.20", "2001:db8::/120"], ipCount=2)
    world.add(*(requests.service(f"web-{i}", namespace=f"team-{i % 3}") for i in range(4)))
    world.add(
        requests.service("dual", ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="RequireDualStack")
    )
    world.settle()
    world.add(requests.service("late", annotations={names.SERVICE_IP_COUNT: "9"}))
    world.add(requests.service("odd", annotations={names.SERVICE_IP_COUNT: "odd"}))
    world.add(requests.balancer("young", addressPool=["192.0.2.18-192.0.2.30"]))
    world.settle()
    del world.services["team-0/web-0"]["metadata"]["labels"][names.SERVICE_BALANCER]
    world.add(requests.node("n4", images=1))
    return world


# Shrinking a world takes minutes and tells nothing that the failing one does not.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(
    max_examples=30,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32))
def test_the_same_request_in_any_order_gets_the_same_bytes(lived_in, seed):
    order = random.Random(seed)
    world = lived_in
    calls = [("balancer/sync", world.request(name)) for name in world.balancers]
    calls += [("balancer/customize", requests.customize(b)) for b in world.balancers.values()]
    for service in world.services.values():
        children = list(world.children.values())
        calls.append(("service/sync", requests.decorator(service, children=children)))
        calls.append(("service/customize", requests.customize(service)))
        calls.append(("service-cleanup/sync", requests.decorator(service)))
    for path, body in calls:
        first = world.hooks.post(path, body)
        assert first.status_code == 200, first.text
        assert world.hooks.post(path, shuffled(body, order)).content == first.content


def test_what_was_asked_before_changes_no_answer(lived_in):
    world = lived_in
    before = {name: world.request(name) for name in world.balancers}
    world.edit("team-1/web-1", ip_count="3")
    world.settle()
    after = {name: world.request(name) for name in world.balancers}
    asked = [*before.values(), *after.values(), *before.values()]
    practised = [world.hooks.post("balancer/sync", body).content for body in asked]
    assert all(remembering._known for remembering in REMEMBERING)
    for body, answer in zip(asked, practised, strict=True):
        placed._last.clear()
        for remembering in REMEMBERING:
            remembering.forget()
        assert world.hooks.post("balancer/sync", body).content == answer


REQUESTED = (None, "192.0.2.14", "2001:db8::12", "2001:db8::12%x")
BOTH = ["IPv4", "IPv6"]
GARBLED = "2001:db8::9-2001:db8::1"
actions = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "add",
                "delete",
                "count",
                "request",
                "odd",
                "join",
                "leave",
                "wipe",
                "wait",
                "move",
                "in use",
                "garble",
                "mend",
                "sync",
            ]
        ),
        st.integers(0, 3),
        st.integers(0, 7),
    ),
    max_size=12,
)


@settings(
    max_examples=40,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=actions)
def test_after_any_history_everything_comes_to_rest_and_no_address_is_given_twice(
    make_world, actions
):
    world = make_world()
    of_back = {names.SERVICE_BALANCER: "back"}
    world.add(requests.service("web-0", ipFamilies=BOTH))
    world.add(requests.service("web-1", ipFamilies=BOTH, annotations=of_back))
    world.settle()
    for action, service, number in actions:
        act(world, action, f"shop/web-{service}", number)
        assert_no_address_is_given_twice(world)
    world.clock.advance(30)
    world.settle()
    world.clock.advance(30)
    world.settle()
    before = world.writes
    world.clock.advance(86_400)
    world.settle()
    assert world.writes == before
    assert_no_address_is_given_twice(world)
    for key, service in world.services.items():
        assert set(world.addresses(key)) <= {
            child["metadata"]["annotations"].get(names.CHILD_ADDRESS)
            for child in world.children.values()
            if child["metadata"]["labels"][names.CHILD_SERVICE_UID] == service["metadata"]["uid"]
        }
        condition = world.condition(key)
        served = bool(world.addresses(key))
        assert served or condition.get("status") != "True"


def assert_no_address_is_given_twice(world):
    held = [
        ipaddress.ip_address(child["metadata"]["annotations"][names.CHILD_ADDRESS])
        for child in world.children.values()
        if names.CHILD_ADDRESS in child["metadata"]["annotations"]
    ]
    assert len(held) == len({(address.version, int(address)) for address in held})


def act(world, action, key, number):
    if action in {"add", "request"} and key not in world.services:
        name = key.removeprefix("shop/")
        world.add(requests.service(name, created=world.clock.text, ipFamilies=BOTH))
    if action == "delete":
        world.services.pop(key, None)
    elif action == "count" and key in world.services:
        world.edit(key, ip_count=str(number + 1))
    elif action == "request" and key in world.services:
        world.edit(key, addresses=REQUESTED[number % len(REQUESTED)])
    elif action == "odd" and key in world.services:
        world.edit(key, ip_count="odd")
        world.services[key]["metadata"]["labels"].pop(names.SERVICE_BALANCER, None)
    elif action in {"garble", "mend"}:
        name = ("front", "back")[number % 2]
        pool = world.balancers[name]["spec"]["addressPool"]
        world.respec(name, addressPool=pool[:2] + [GARBLED] * (action == "garble"))
    elif action == "join":
        world.add(requests.node(f"n{number}", images=0))
    elif action == "leave":
        world.nodes.pop(f"n{number}", None)
    elif action == "wipe" and key in world.services:
        world.services[key]["metadata"]["labels"].pop(names.SERVICE_BALANCER, None)
    elif action == "wait":
        world.clock.advance(number)
    elif action == "move" and key in world.services:
        world.edit(key, load_balancer="back")
    elif action == "in use":
        for name, child in world.children.items():
            if name.startswith(key) and names.CHILD_ADDRESS in child["metadata"]["annotations"]:
                address = child["metadata"]["annotations"][names.CHILD_ADDRESS]
                child["status"] = {
                    "conditions": [
                        {
                            "type": names.ANNOUNCED_CONDITION,
                            "status": "False",
                            "reason": "AddressInUse",
                            "message": f"{address} is answered by 52:54:00:00:00:01",
                        }
                    ]
                }
                break
    for name in list(world.balancers):
        world.sync_balancer(name)
    if action != "sync":
        for service in list(world.services):
            world.sync_service(service)
