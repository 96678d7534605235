# SPDX-License-Identifier: MIT
"""Requested addresses, shared addresses, and addresses that a stranger uses."""

import dataclasses
import ipaddress
import itertools
from typing import Any

import pytest

from app.placement import addresses, model
from contract.pool import Pool
from tests.unit.placement import scenes

address = ipaddress.ip_address
FOUR = Pool.parse(["192.0.2.1-192.0.2.4"])
WEB = frozenset({("TCP", 80)})
TLS = frozenset({("TCP", 443)})
QUIC = frozenset({("UDP", 443)})


def four(*asked: model.Wish, nodes: int | list[str] = 3, **more) -> model.Placement:
    return scenes.decide(scenes.balancer(nodes, FOUR, **more), asked)


def settled(*asked: model.Wish) -> list[model.Wish]:
    return scenes.settled(four(*asked), asked)


def requesting(*texts: str, name: str = "web", ipv4: model.Count = 1, **more) -> model.Wish:
    return scenes.wish(name, ipv4, requested=tuple(map(address, texts)), **more)


def test_requested_addresses_come_first_and_the_rest_are_the_lowest():
    answer = four(requesting("192.0.2.3", ipv4=2))
    assert scenes.assigned(answer) == ["192.0.2.3", "192.0.2.1"]


def test_a_request_goes_before_an_older_service_that_wants_any():
    answer = four(scenes.wish("old", created=0.0), requesting("192.0.2.1", created=1.0))
    assert scenes.assigned(answer) == ["192.0.2.1"]


def test_of_two_requests_the_older_service_wins_and_the_other_waits_and_is_told():
    answer = four(
        requesting("192.0.2.1", name="a", created=0.0),
        requesting("192.0.2.1", name="b", created=1.0),
    )
    assert scenes.assigned(answer, "a") == ["192.0.2.1"]
    assert scenes.assigned(answer, "b") == []
    assert scenes.shortfalls(answer, "b") == (model.Taken(address("192.0.2.1"), ("shop", "a")),)


def test_a_request_that_waits_is_met_once_its_address_comes_free():
    waiting = requesting("192.0.2.1", name="b", created=1.0)
    four(requesting("192.0.2.1", name="a", created=0.0), waiting)
    assert scenes.assigned(four(waiting), "b") == ["192.0.2.1"]


def test_beside_a_request_that_cannot_be_met_only_the_other_places_are_filled():
    answer = four(requesting("198.51.100.1", ipv4=3))
    assert scenes.assigned(answer) == ["192.0.2.1", "192.0.2.2"]
    assert scenes.shortfalls(answer) == (model.NotInPool(address("198.51.100.1")),)


def test_a_service_that_requires_both_families_gets_none_while_its_request_waits():
    answer = four(requesting("198.51.100.1", ipv6=1, both_or_none=True))
    assert scenes.assigned(answer) == []
    assert scenes.shortfalls(answer) == (model.NotInPool(address("198.51.100.1")),)


def test_a_request_replaces_what_was_not_requested_in_the_same_child():
    (one,) = settled(scenes.wish(ipv4=2))
    answer = four(dataclasses.replace(one, requested=(address("192.0.2.4"),)))
    assert scenes.assigned(answer) == ["192.0.2.1", "192.0.2.4"]


def test_a_request_that_cannot_be_met_takes_nothing_away():
    one, _ = settled(scenes.wish("web", created=0.0), scenes.wish("other", created=1.0))
    answer = four(
        dataclasses.replace(one, requested=(address("198.51.100.1"),)),
    )
    assert scenes.assigned(answer) == ["192.0.2.1"]
    assert scenes.shortfalls(answer) == (model.NotInPool(address("198.51.100.1")),)


def test_an_address_given_up_for_a_request_meets_the_next_request_at_once():
    first, second = settled(scenes.wish("a", created=0.0), scenes.wish("b", created=1.0))
    answer = four(
        dataclasses.replace(first, requested=(address("192.0.2.2"),)),
        dataclasses.replace(second, requested=(address("192.0.2.3"),)),
    )
    assert scenes.assigned(answer, "a") == ["192.0.2.2"]
    assert scenes.assigned(answer, "b") == ["192.0.2.3"]


def test_more_requests_than_the_count_are_named():
    answer = four(requesting("192.0.2.1", "192.0.2.2", "2001:db8::1"))
    assert scenes.assigned(answer) == ["192.0.2.1"]
    assert scenes.shortfalls(answer) == (
        model.BeyondCount(address("192.0.2.2"), 1),
        model.NotInPool(address("2001:db8::1")),
    )


def test_auto_is_as_many_as_are_requested_where_there_are_fewer_nodes():
    answer = four(requesting("192.0.2.1", "192.0.2.3", "192.0.2.4", ipv4=model.AUTO), nodes=2)
    assert scenes.assigned(answer) == ["192.0.2.1", "192.0.2.3", "192.0.2.4"]
    assert scenes.shortfalls(answer) == ()


def test_the_request_of_lower_rank_is_given_up_for_the_first():
    (one,) = settled(requesting("192.0.2.2", "192.0.2.3", ipv4=2))
    order = tuple(map(address, ("192.0.2.4", "192.0.2.2", "192.0.2.3")))
    answer = four(dataclasses.replace(one, requested=order))
    assert sorted(scenes.assigned(answer)) == ["192.0.2.2", "192.0.2.4"]


def test_a_service_that_requires_both_families_keeps_what_a_request_replaced():
    (one,) = settled(scenes.wish())
    changed = dataclasses.replace(one, ipv6=1, both_or_none=True, requested=(address("192.0.2.3"),))
    answer = four(changed)
    assert scenes.assigned(answer) == ["192.0.2.3"]


def sharing(name: str, ports: frozenset[model.Port], **more) -> model.Wish:
    return scenes.wish(name, more.pop("ipv4", 1), sharing_key="edge", ports=ports, **more)


def test_services_with_one_key_and_different_ports_share():
    answer = four(sharing("a", WEB, created=0.0), sharing("b", TLS | QUIC, created=1.0))
    assert scenes.assigned(answer, "a") == scenes.assigned(answer, "b") == ["192.0.2.1"]


def test_and_their_children_carry_one_list_and_version():
    asked = [sharing("a", WEB, created=0.0, ipv4=2)]
    asked = scenes.settled(scenes.decide(3, asked), asked)
    asked = scenes.settled(scenes.decide(4, asked), asked)
    late = sharing("b", TLS, created=1.0, ipv4=2)
    answer = scenes.decide(4, [*asked, late])
    first, second = (outcome.assigned for outcome in answer.outcomes)
    assert first == second


def test_children_of_a_shared_address_that_disagree_are_brought_together():
    asked = scenes.settled(
        scenes.decide(3, [sharing("a", WEB), sharing("b", TLS)]),
        [sharing("a", WEB), sharing("b", TLS)],
    )
    (child,) = asked[1].held
    strange = dataclasses.replace(child, nodes=child.nodes[::-1], list_version=7, created=50.0)
    asked[1] = dataclasses.replace(asked[1], held=(strange,))
    first, second = (outcome.assigned for outcome in scenes.decide(3, asked).outcomes)
    assert first == second
    assert (first[0].nodes, first[0].list_version) == (child.nodes, 8)


def test_the_same_port_is_not_shared():
    answer = four(sharing("a", WEB, created=0.0), sharing("b", WEB | TLS, created=1.0))
    assert scenes.assigned(answer, "b") == ["192.0.2.2"]


def test_tcp_and_udp_of_one_number_are_different_ports():
    answer = four(sharing("a", TLS, created=0.0), sharing("b", QUIC, created=1.0))
    assert scenes.assigned(answer, "a") == scenes.assigned(answer, "b")


def test_another_namespace_does_not_share():
    foreign = dataclasses.replace(sharing("b", TLS, created=1.0), namespace="elsewhere")
    answer = four(sharing("a", WEB, created=0.0), foreign)
    assert scenes.assigned(answer, "b") == ["192.0.2.2"]


def test_a_shared_address_may_be_requested():
    answer = four(
        sharing("a", WEB, created=0.0, ipv4=2),
        dataclasses.replace(sharing("b", TLS, created=1.0), requested=(address("192.0.2.2"),)),
    )
    assert scenes.assigned(answer, "b") == ["192.0.2.2"]


def test_when_ports_begin_to_collide_the_service_that_has_changed_gets_another():
    asked = [sharing("a", WEB, created=0.0), sharing("b", TLS, created=1.0)]
    asked = scenes.settled(four(*asked), asked)
    asked[0] = dataclasses.replace(asked[0], ports=WEB | TLS)
    answer = four(*asked)
    assert scenes.assigned(answer, "a") == ["192.0.2.2"]
    assert scenes.assigned(answer, "b") == ["192.0.2.1"]


@pytest.mark.parametrize("stuck", [0, 1])
def test_a_child_that_cannot_be_written_raises_no_version_again_and_again(stuck):
    asked = settled(sharing("a", WEB, created=0.0), sharing("b", TLS, created=1.0))
    before = asked[stuck].held
    versions = []
    for _ in range(4):
        asked = scenes.settled(four(*asked, nodes=["n1", "n2"]), asked)
        versions.append(asked[1 - stuck].held[0].list_version)
        asked[stuck] = dataclasses.replace(asked[stuck], held=before)
    assert len(set(versions[1:])) == 1


def test_shared_and_own_addresses_of_a_service_sit_on_different_nodes():
    asked = [sharing("a", WEB, created=0.0), sharing("b", TLS, created=1.0, ipv4=3)]
    answer = scenes.decide(3, asked)
    assert all(gap <= 1 for gap in scenes.group_gaps(answer, scenes.balancer(3).nodes))


def reported(one: model.Wish, **more) -> model.Wish:
    (child,) = one.held
    return dataclasses.replace(
        one, held=(dataclasses.replace(child, reported_in_use=True, **more),)
    )


def test_an_address_that_a_stranger_uses_is_replaced_and_quarantined():
    (one,) = settled(scenes.wish())
    answer = four(reported(one))
    assert scenes.assigned(answer) == ["192.0.2.2"]
    assert answer.quarantined == (address("192.0.2.1"),)


def test_a_quarantined_address_is_given_to_nobody_but_who_requests_it():
    shunned = frozenset({address("192.0.2.1")})
    assert scenes.assigned(four(scenes.wish(), quarantined=shunned)) == ["192.0.2.2"]
    answer = four(requesting("192.0.2.1"), quarantined=shunned)
    assert scenes.assigned(answer) == ["192.0.2.1"]


def test_an_address_that_was_announced_before_is_never_replaced():
    (one,) = settled(scenes.wish())
    assert scenes.assigned(four(reported(one, ever_announced=True))) == ["192.0.2.1"]


def lost(one: model.Wish, *addresses: str) -> model.Wish:
    children = zip(one.held, addresses, strict=True)
    held = [dataclasses.replace(child, lost_to_stranger=address(a)) for child, a in children]
    return dataclasses.replace(one, held=tuple(held))


def test_what_a_child_lost_to_a_stranger_is_quarantined_before_the_status_says_so():
    (one,) = settled(requesting("192.0.2.3"))
    answer = four(lost(one, "192.0.2.1"), scenes.wish("next", created=1.0))
    assert scenes.assigned(answer, "next") == ["192.0.2.2"]
    assert answer.quarantined == (address("192.0.2.1"),)


def test_nothing_that_another_balancer_owns_is_quarantined():
    (one,) = settled(scenes.wish())
    assert four(lost(one, "198.51.100.1")).quarantined == ()


def test_nor_is_one_that_was_requested():
    (one,) = settled(requesting("192.0.2.1"))
    assert scenes.assigned(four(reported(one))) == ["192.0.2.1"]


def test_nor_when_there_is_no_other():
    one, *others = settled(scenes.wish("web", created=0.0), scenes.wish("rest", 3, created=1.0))
    answer = four(reported(one), *others)
    assert scenes.assigned(answer) == ["192.0.2.1"]
    assert answer.quarantined == ()


def test_nor_when_the_quarantine_is_full():
    wide = Pool.parse(["192.0.2.0/24"])
    full = frozenset(address("192.0.2.100") + n for n in range(model.MAX_QUARANTINED))
    asked = [scenes.wish()]
    asked = scenes.settled(scenes.decide(scenes.balancer(3, wide), asked), asked)
    balancer = scenes.balancer(3, wide, quarantined=full)
    answer = scenes.decide(balancer, [reported(asked[0])])
    assert scenes.assigned(answer) == ["192.0.2.0"]
    assert len(answer.quarantined) == model.MAX_QUARANTINED


def test_a_quarantined_address_is_not_taken_over_from_a_status():
    shunned = frozenset({address("192.0.2.3")})
    adopting = scenes.wish(adopted=(address("192.0.2.3"),))
    assert scenes.assigned(four(adopting, quarantined=shunned)) == ["192.0.2.1"]


def test_an_address_given_up_goes_to_the_oldest_that_requests_it():
    oldest, giving, youngest = settled(*(scenes.wish(n, created=t) for t, n in enumerate("abc")))
    answer = four(
        dataclasses.replace(oldest, requested=(address("192.0.2.2"),)),
        dataclasses.replace(giving, requested=(address("192.0.2.4"),)),
        dataclasses.replace(youngest, requested=(address("192.0.2.2"),)),
    )
    assert scenes.assigned(answer, "a") == ["192.0.2.2"]
    assert scenes.shortfalls(answer, "c") == (model.Taken(address("192.0.2.2"), ("shop", "a")),)


def looked_at(monkeypatch, balancer: model.Balancer, asked: list[model.Wish]) -> int:
    """Return how often placement asks whether an address is to be had, which is what it costs."""
    count, blocker = itertools.count(), addresses._Book.blocker

    def counting(*of: Any) -> Any:
        next(count)
        return blocker(*of)

    monkeypatch.setattr(addresses._Book, "blocker", counting)
    scenes.decide(balancer, asked)
    return next(count)


def test_a_chain_of_requests_is_met_link_by_link(monkeypatch):
    first = scenes.wishes([1] * 200)
    having = scenes.settled(scenes.decide(5, first), first)
    chain = [one.held[0].address for one in having]
    chain.append(chain[-1] + 1000)
    asked = [
        dataclasses.replace(one, requested=(chain[number + 1],))
        for number, one in enumerate(having)
    ]
    assert looked_at(monkeypatch, scenes.balancer(5), asked) <= 4 * len(asked)


def test_services_that_cannot_share_do_not_look_through_each_others_addresses(monkeypatch):
    port = frozenset({("TCP", 443)})
    asked = [
        scenes.wish(f"s{n:03}", created=float(n), sharing_key="edge", ports=port)
        for n in range(200)
    ]
    assert looked_at(monkeypatch, scenes.balancer(5), asked) <= 4 * len(asked)
