# SPDX-License-Identifier: MIT
import collections
import ipaddress
import json
import pathlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from app.balancer import memory, picture, placed
from bench import requests
from contract import names

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "hooks"
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
    world.respec(addressPool=["192.0.2.10-192.0.2.24", "2001:db8::/120"], ipCount=2)
    world.add(*(requests.service(f"web-{i}", namespace=f"team-{i % 3}") for i in range(4)))
    world.add(
        requests.service("dual", ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="RequireDualStack")
    )
    for number in (80, 443):
        ports = [{"name": "main", "port": number, "protocol": "TCP", "targetPort": 8080}]
        key = {names.SERVICE_SHARING_KEY: "edge"}
        world.add(requests.service(f"shared-{number}", annotations=key, ports=ports))
    world.add(requests.service("foreign", loadBalancerClass=None))
    world.settle()
    foreign = {"ip": "198.51.100.9", "ipMode": "VIP"}
    world.services["shop/foreign"]["status"]["loadBalancer"]["ingress"].append(foreign)
    world.add(requests.service("late", annotations={names.SERVICE_IP_COUNT: "9"}))
    world.add(requests.service("odd", annotations={names.SERVICE_IP_COUNT: "odd"}))
    world.add(requests.balancer("young", addressPool=["192.0.2.22-192.0.2.30"]))
    world.settle()
    assert world.addresses("shop/shared-80") == world.addresses("shop/shared-443") != []
    assert world.condition("shop/foreign")["reason"] == "ForeignStatus"
    assert world.condition("shop/late")["reason"] == "PoolExhausted"
    del world.services["team-0/web-0"]["metadata"]["labels"][names.SERVICE_BALANCER]
    world.add(requests.node("n4", images=1))
    return world


# Shrinking a world takes minutes and tells nothing that the failing one does not.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
in_many_orders = settings(
    max_examples=30,
    deadline=None,
    phases=PHASES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@in_many_orders
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
        assert_the_same_in_any_order(world.hooks, path, body, order)


@in_many_orders
@given(seed=st.integers(0, 2**32))
def test_a_recorded_request_in_any_order_gets_the_same_bytes(hooks, seed):
    order = random.Random(seed)
    for file in sorted(EXAMPLES.iterdir()):
        hook, _, call = file.stem.rpartition("-")
        assert_the_same_in_any_order(hooks, f"{hook}/{call}", json.loads(file.read_text()), order)


def assert_the_same_in_any_order(hooks, path, body, order):
    first = hooks.post(path, body)
    assert first.status_code == 200, first.text
    assert hooks.post(path, shuffled(body, order)).content == first.content


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
POOLS = (
    ["192.0.2.10-192.0.2.27", "2001:db8::10/126"],
    ["192.0.2.10-192.0.2.13", "2001:db8::10/127"],
    ["192.0.2.12-192.0.2.15", "2001:db8::12/127"],
    ["192.0.2.14-192.0.2.15", "2001:db8::12"],
)
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
                "resize",
                "rest",
                "share",
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
@example(actions=[("garble", 0, 0), ("resize", 0, 1)])
def test_after_any_history_everything_comes_to_rest_and_no_address_is_given_twice(
    make_world, actions
):
    world = make_world()
    of_back = {names.SERVICE_BALANCER: "back"}
    world.add(requests.service("web-0", ipFamilies=BOTH, ports=ports_of(0)))
    world.add(requests.service("web-1", ipFamilies=BOTH, ports=ports_of(1), annotations=of_back))
    world.settle()
    for action, index, number in actions:
        act(world, action, index, number)
        assert_no_address_is_given_twice(world)
        if action == "rest":
            come_to_rest(world)
    come_to_rest(world)
    world.clock.advance(30)
    world.settle()
    before = world.writes
    world.clock.advance(86_400)
    world.settle()
    assert world.writes == before
    assert_no_address_is_given_twice(world)
    for key in world.services:
        condition = world.condition(key)
        served = bool(world.addresses(key))
        assert served or condition.get("status") != "True"


def come_to_rest(world):
    """Let all that is waited for pass: a Service then shows what its children have, and no more.

    So no two show the same address but those that share it.
    """
    world.settle()
    world.clock.advance(30)
    world.settle()
    assert_no_address_is_given_twice(world)
    for key, service in world.services.items():
        assert set(world.addresses(key)) <= {
            child["metadata"]["annotations"].get(names.CHILD_ADDRESS)
            for child in world.children.values()
            if child["metadata"]["labels"][names.CHILD_SERVICE_UID] == service["metadata"]["uid"]
        }


def may_share(children):
    """Whether children, all of one namespace, name the same key and different ports."""
    notes = [child["metadata"]["annotations"] for child in children]
    ports = [port for note in notes for port in note.get(names.CHILD_SHARING_PORTS, "").split(",")]
    keys = {note.get(names.CHILD_SHARING_KEY) for note in notes}
    return len(keys) == 1 and None not in keys and len(ports) == len(set(ports))


def ports_of(index):
    """The first two Services have the same port, the others another."""
    port = 80 + index // 2
    return [{"name": "main", "port": port, "protocol": "TCP", "targetPort": 8080}]


def assert_no_address_is_given_twice(world):
    """But to children that share it."""
    held = collections.defaultdict(list)
    for child in world.children.values():
        text = child["metadata"]["annotations"].get(names.CHILD_ADDRESS)
        if text is not None:
            address = ipaddress.ip_address(text)
            held[address.version, int(address)].append(child)
    for children in held.values():
        assert len(children) == 1 or may_share(children)


def act(world, action, index, number):
    name = f"web-{index}"
    key = f"shop/{name}"
    if action in {"add", "request"} and key not in world.services:
        ports = ports_of(index)
        world.add(requests.service(name, created=world.clock.text, ipFamilies=BOTH, ports=ports))
    if action == "delete":
        world.services.pop(key, None)
    elif action == "count" and key in world.services:
        world.edit(key, ip_count=str(number + 1))
    elif action == "request" and key in world.services:
        world.edit(key, addresses=REQUESTED[number % len(REQUESTED)])
    elif action == "share" and key in world.services:
        world.edit(key, sharing_key=(None, "edge")[number % 2])
    elif action == "odd" and key in world.services:
        world.edit(key, ip_count="odd")
        world.services[key]["metadata"]["labels"].pop(names.SERVICE_BALANCER, None)
    elif action in {"garble", "mend"}:
        name = ("front", "back")[number % 2]
        pool = world.balancers[name]["spec"]["addressPool"]
        world.respec(name, addressPool=pool[:2] + [GARBLED] * (action == "garble"))
    elif action == "resize":
        name = ("front", "back")[number % 2]
        entries = world.balancers[name]["spec"]["addressPool"]
        world.respec(name, addressPool=POOLS[number // 2] + entries[2:])
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
