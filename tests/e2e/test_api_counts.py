# SPDX-License-Identifier: MIT
"""How many addresses a Service gets, and which."""

import pytest

from contract import child, names


def test_a_raised_count_adds_and_a_lowered_one_takes_the_last_away(user, block):
    user.serve("web", count="1")
    user.gets("web", block.v4(1))

    user.annotate("web", names.SERVICE_IP_COUNT, "3")
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))

    user.annotate("web", names.SERVICE_IP_COUNT, "2")
    user.gets("web", block.v4(1), block.v4(2))


def test_auto_is_one_address_a_balancer_node(lab, user):
    user.serve("web", count="auto")

    user.addresses("web", len(lab.nodes()))


def test_without_a_count_the_balancers_own_holds(user, balancer):
    balancer.change(ipCount=2)
    user.serve("web")
    user.addresses("web", 2)

    balancer.change(ipCount=3)
    user.addresses("web", 3)


def test_requested_addresses_come_first(user, block):
    user.serve("web", count="3", annotations={names.SERVICE_ADDRESSES: block.v4(7)})

    user.gets("web", block.v4(7), block.v4(1), block.v4(2))


def test_a_request_that_comes_later_replaces_the_last_address(user, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    user.annotate("web", names.SERVICE_ADDRESSES, f"{block.v4(1)},{block.v4(9)}")

    user.gets("web", block.v4(1), block.v4(9))


def test_a_request_that_cannot_be_met_is_told_why(user, block):
    user.serve("first", count="1")
    user.gets("first", block.v4(1))

    user.serve("taken", count="1", annotations={names.SERVICE_ADDRESSES: block.v4(1)})
    user.complaint("taken", "AddressTaken", block.v4(1), f"{user.namespace}/first")

    user.serve("outside", count="1", annotations={names.SERVICE_ADDRESSES: "203.0.113.7"})
    user.complaint("outside", "AddressNotInPool", "203.0.113.7")


def test_services_with_one_sharing_key_share_addresses_and_their_nodes(user, block):
    key = {names.SERVICE_SHARING_KEY: "edge"}
    user.serve("http", count="2", annotations=key, ports=[{"port": 80}])
    user.serve("https", count="2", annotations=key, ports=[{"port": 443}])

    for name in ("http", "https"):
        user.gets(name, block.v4(1), block.v4(2))
    lists = [
        {str(found.address): found.nodes for found in map(child.decode, user.children(name))}
        for name in ("http", "https")
    ]
    assert lists[0] == lists[1]


def test_services_whose_ports_are_the_same_do_not_share(user, block):
    key = {names.SERVICE_SHARING_KEY: "edge"}
    user.serve("one", count="1", annotations=key)
    user.gets("one", block.v4(1))

    user.serve("two", count="1", annotations=key)

    user.gets("two", block.v4(2))


def test_require_dual_stack_is_both_families_or_none(user, balancer, block):
    balancer.change(addressPool=[f"{block.v4(1)}-{block.v4(3)}"])
    user.serve("web", count="2", ipFamilyPolicy="RequireDualStack")
    user.complaint("web", "PoolExhausted", "IPv6", "PreferDualStack")
    assert user.ingress("web") == []

    balancer.change(addressPool=block.pool(1, 3))

    user.gets("web", block.v4(1), block.v4(2), block.v6(1), block.v6(2))
    assert user.condition("web", "Assigned")["status"] == "True"


def test_prefer_dual_stack_takes_what_is_there_and_the_rest_later(user, balancer, block):
    balancer.change(addressPool=[f"{block.v4(1)}-{block.v4(3)}"])
    user.serve("web", count="1", ipFamilyPolicy="PreferDualStack")
    user.gets("web", block.v4(1))
    assert user.condition("web", "Assigned")["status"] == "True"

    balancer.change(addressPool=block.pool(1, 3))

    user.gets("web", block.v4(1), block.v6(1))


def test_an_exhausted_pool_is_told_and_what_comes_free_is_given_at_once(user, balancer, block):
    balancer.change(addressPool=block.pool(1, 3))
    user.serve("first", count="2")
    user.gets("first", block.v4(1), block.v4(2))
    user.serve("second", count="2")
    user.gets("second", block.v4(3))
    user.complaint("second", "PoolExhausted", "1 IPv4 address missing")
    balancer.condition("AddressesAvailable", "PoolExhausted")

    user.delete("first")

    user.gets("second", block.v4(3), block.v4(1))
    assert user.condition("second", "Assigned")["status"] == "True"
    balancer.condition("AddressesAvailable", "Available")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (names.SERVICE_IP_COUNT, "0", "'0'"),
        (names.SERVICE_ADDRESSES, "10.0.0.300", "'10.0.0.300'"),
        (names.SERVICE_SHARING_KEY, "a b", "'a b'"),
        (names.SERVICE_ADDRESSES, "fd00::1", "ipFamilies"),
    ],
)
@pytest.mark.usefixtures("unguarded")
def test_what_means_nothing_changes_nothing_and_is_told(user, block, key, value, said):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    user.annotate("web", key, value)

    user.complaint("web", "InvalidAnnotation", key, said)
    user.gets("web", block.v4(1), block.v4(2))
