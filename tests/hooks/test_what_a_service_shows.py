# SPDX-License-Identifier: MIT
"""A Service shows what its children have and says what would help, also where it is in the wrong.

What it shows without a child may be somebody else's by now: traffic would go to two Services.
"""

import pytest

from app import settings
from app.service import answer
from bench import requests
from contract import names

ONE = {names.SERVICE_IP_COUNT: "1"}
TWO = {names.SERVICE_IP_COUNT: "2"}
OTHER = {names.SERVICE_BALANCER: "other"} | ONE


def ask(world, name="web", annotations=ONE, **spec):
    world.add(requests.service(name, annotations=annotations, **spec))
    world.settle()


def message(world, key="shop/web"):
    return world.condition(key)["message"]


def say_nonsense(world):
    world.edit("shop/web", ip_count="odd")
    world.settle()


def test_an_invalid_service_shows_no_address_that_another_balancer_gives(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.11"])
    ask(world)
    say_nonsense(world)
    world.respec(addressPool=["192.0.2.11"])
    world.add(requests.balancer("other", addressPool=["192.0.2.10"]))
    world.settle()
    assert message(world).endswith("some of these are without a child")
    world.clock.advance(answer.SIBLING_WAIT_S)
    ask(world, "api", OTHER)
    assert world.addresses("shop/api") == ["192.0.2.10"]
    assert world.addresses("shop/web") == []
    assert world.condition("shop/web")["reason"] == "InvalidAnnotation"
    assert message(world).startswith("had 192.0.2.10 from front; annotation l2lb.io/ip-count is ")


def test_an_invalid_service_whose_balancer_is_gone_shows_nothing(world):
    ask(world)
    say_nonsense(world)
    del world.balancers["front"]
    world.children.clear()
    world.settle()
    world.clock.advance(answer.SIBLING_WAIT_S)
    world.settle()
    assert world.addresses("shop/web") == []


def test_an_invalid_service_goes_on_with_the_children_that_it_has_and_gets_the_others_back(world):
    ask(world, annotations=TWO)
    say_nonsense(world)
    world.respec(addressPool=["192.0.2.11-192.0.2.50"])
    world.settle()
    world.clock.advance(answer.SIBLING_WAIT_S)
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.11"]
    assert message(world).startswith("has 192.0.2.11 of 192.0.2.10, 192.0.2.11 from front; ")
    world.respec(addressPool=["192.0.2.10-192.0.2.50"])
    world.edit("shop/web", ip_count="2")
    world.settle()
    assert sorted(world.addresses("shop/web")) == ["192.0.2.10", "192.0.2.11"]


def test_an_invalid_service_keeps_what_somebody_else_wrote(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "odd"}))
    world.services["shop/web"]["spec"].pop("loadBalancerClass")
    foreign = {"ingress": [{"ip": "198.51.100.9", "ipMode": "VIP"}]}
    world.services["shop/web"]["status"] = {"loadBalancer": foreign}
    world.settle()
    world.clock.advance(answer.SIBLING_WAIT_S)
    world.settle()
    assert world.services["shop/web"]["status"]["loadBalancer"] == foreign


@pytest.mark.parametrize("first", ["the Service", "its balancer"])
def test_a_service_moves_to_another_balancer_at_once(world, first):
    world.add(requests.balancer("other", addressPool=["198.51.100.0/28"]))
    ask(world)
    world.edit("shop/web", load_balancer="other")
    if first == "its balancer":
        world.sync_balancer("front")
    world.settle()
    assert world.addresses("shop/web") == ["198.51.100.0"]
    assert world.services["shop/web"]["metadata"]["labels"][names.SERVICE_BALANCER] == "other"
    assert list(world.children) == ["shop/web-l2-1"]


def test_a_balancer_that_does_not_let_go_does_not_keep_a_service_for_ever(world):
    world.add(requests.balancer("other", addressPool=["198.51.100.0/28"]))
    ask(world)
    del world.balancers["front"]  # and its children stay, as kubectl delete --cascade=orphan does
    world.edit("shop/web", load_balancer="other")
    world.settle()
    label = world.services["shop/web"]["metadata"]["labels"]
    assert label[names.SERVICE_BALANCER] == "front"
    assert world.addresses("shop/web") == []
    world.clock.advance(answer.BALANCER_WAIT_S)
    world.sync_service("shop/web")
    assert label[names.SERVICE_BALANCER] == "other"


def from_metallb(world, name, address, port=80):
    world.add(
        requests.service(
            name,
            annotations={names.SERVICE_ADDRESSES: address} | ONE,
            loadBalancerClass=None,
            ports=[{"port": port}],
        )
    )
    ingress = [{"ip": address, "ipMode": "VIP"}]
    world.services[f"shop/{name}"]["status"] = {"loadBalancer": {"ingress": ingress}}


def test_of_a_foreign_status_it_is_said_too_why_the_address_is_not_ours(world):
    from_metallb(world, "web", "192.0.2.200")
    from_metallb(world, "first", "192.0.2.40")
    world.settle()
    from_metallb(world, "second", "192.0.2.40", 81)
    world.settle()
    assert world.condition("shop/web")["reason"] == "ForeignStatus"
    assert message(world).endswith(
        "; and address 192.0.2.200 is not one of balancer front: name another, or add it to "
        "spec.addressPool"
    )
    assert "; and address 192.0.2.40 belongs to Service shop/first: " in message(
        world, "shop/second"
    )


def test_an_address_of_an_older_balancer_is_not_to_be_added_to_the_pool(world):
    younger = requests.balancer("other", addressPool=["192.0.2.40-192.0.2.60"])
    younger["metadata"]["creationTimestamp"] = "2026-01-31T12:30:00Z"
    world.add(younger)
    ask(world, annotations=OTHER | {names.SERVICE_ADDRESSES: "192.0.2.41"})
    assert message(world).startswith(
        "address 192.0.2.41 belongs to the older balancer front: name another, use that balancer, "
        "or take the address out of its spec.addressPool"
    )


def test_an_address_that_a_pool_avoids_is_not_to_be_added_to_it(world):
    world.respec(addressPool=["192.0.2.0/24"], avoidBuggyIPs=True)
    ask(world, annotations=ONE | {names.SERVICE_ADDRESSES: "192.0.2.255"})
    assert message(world).startswith(
        "address 192.0.2.255 ends in .0 or .255, which spec.avoidBuggyIPs of balancer front leaves "
        "out: name another, or set that to false"
    )


def test_of_a_pool_that_cannot_be_read_nobody_is_told_to_extend_it(world):
    both = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
    world.respec(addressPool=["192.0.2.10-192.0.2.20", "2001:db8::9-2001:db8::1"])
    ask(world, **both)
    ask(world, "api")
    told = [message(world), message(world, "shop/api")]
    told.append(world.balancer_condition("AddressesAvailable")["message"])
    assert all("mended" in one and "extend" not in one for one in told), told


def test_a_balancer_does_not_say_that_all_have_what_they_need_while_one_does_not(world):
    ask(world, "first", ONE | {names.SERVICE_ADDRESSES: "192.0.2.40"})
    ask(world, annotations=ONE | {names.SERVICE_ADDRESSES: "192.0.2.40"})
    available = world.balancer_condition("AddressesAvailable")
    assert available["message"] == "no Service waits for a free address"
    assert world.balancer_condition("Ready")["message"].startswith(
        "shop/web lack what they ask for; shop/web: address 192.0.2.40 belongs to Service"
    )


def test_what_is_invalid_is_named_by_the_key_that_the_user_wrote(make_hooks):
    alias = "network.deckhouse.io/l2-load-balancer-external-ips-count"
    hooks = make_hooks(settings.Settings(annotation_aliases={alias: "ip-count"}))
    asked = {alias: "1", names.SERVICE_ADDRESSES: "192.0.2.10,192.0.2.11"}
    answered = hooks.answer(
        "service/sync", requests.decorator(requests.service("web", annotations=asked))
    )
    (condition,) = answered["status"]["conditions"]
    assert condition["message"] == (
        f"annotation {names.SERVICE_ADDRESSES} names 2 IPv4 addresses, but {alias} asks for 1: "
        "raise the count or name fewer"
    )
