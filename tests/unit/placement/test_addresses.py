# SPDX-License-Identifier: MIT
"""Which Service has which addresses: what exists stays, then requests, then the lowest free."""

import dataclasses
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from contract.pool import Address, Pool
from tests.unit.placement import scenes

address = ipaddress.ip_address
FOUR = Pool.parse(["192.0.2.1-192.0.2.4"])


def held(text: str, ordinal: int = 1, **more) -> model.Held:
    return model.Held(ordinal, address(text), ("n0",), 1, more.pop("created", 0.0), **more)


def four(*asked: model.Wish, nodes: int = 3, **more) -> model.Placement:
    return scenes.decide(scenes.balancer(nodes, FOUR, **more), asked)


def test_the_lowest_free_addresses_go_to_services_in_creation_order():
    answer = four(scenes.wish("new", 2, created=2.0), scenes.wish("old", 1, created=1.0))
    assert scenes.assigned(answer, "old") == ["192.0.2.1"]
    assert scenes.assigned(answer, "new") == ["192.0.2.2", "192.0.2.3"]


def test_what_a_child_has_it_keeps_though_a_lower_one_is_free():
    assert scenes.assigned(four(scenes.wish(held=(held("192.0.2.4"),)))) == ["192.0.2.4"]


def test_an_address_outside_the_pool_is_replaced_in_the_same_child():
    answer = four(scenes.wish(ipv4=2, held=(held("198.51.100.1"), held("192.0.2.1", 2))))
    assert scenes.assigned(answer) == ["192.0.2.2", "192.0.2.1"]


@pytest.mark.parametrize("shares", [{}, {"sharing_key": "edge"}])
def test_of_two_children_with_one_address_the_older_keeps_it(shares):
    answer = four(
        scenes.wish("a", created=1.0, held=(held("192.0.2.1", created=9.0, **shares),), **shares),
        scenes.wish("b", created=2.0, held=(held("192.0.2.1", created=8.0),)),
    )
    assert scenes.assigned(answer, "a") == ["192.0.2.2"]
    assert scenes.assigned(answer, "b") == ["192.0.2.1"]


def test_a_full_pool_lets_the_later_services_wait_and_they_get_the_first_that_comes_free():
    asked = [scenes.wish(name, 2, created=n) for n, name in enumerate("abc")]
    answer = four(*asked)
    assert scenes.assigned(answer, "c") == []
    assert scenes.shortfalls(answer, "c") == (model.PoolExhausted(4, 2),)
    after = four(*scenes.settled(answer, asked)[1:])
    assert scenes.assigned(after, "c") == ["192.0.2.1", "192.0.2.2"]


def test_a_service_gets_what_there_is():
    answer = four(scenes.wish(ipv4=6))
    assert len(scenes.assigned(answer)) == 4
    assert scenes.shortfalls(answer) == (model.PoolExhausted(4, 2),)


def test_a_lowered_count_takes_the_last_away_first():
    (grown,) = scenes.settled(four(scenes.wish(ipv4=4)), [scenes.wish(ipv4=4)])
    answer = four(dataclasses.replace(grown, ipv4=2))
    assert scenes.assigned(answer) == ["192.0.2.1", "192.0.2.2"]


def test_a_lowered_count_keeps_what_was_requested():
    (grown,) = scenes.settled(four(scenes.wish(ipv4=4)), [scenes.wish(ipv4=4)])
    chosen = (address("192.0.2.4"),)
    answer = four(dataclasses.replace(grown, ipv4=1, requested=chosen))
    assert scenes.assigned(answer) == ["192.0.2.4"]


def test_a_freed_ordinal_is_given_again():
    answer = four(scenes.wish(ipv4=3, held=(held("192.0.2.1", 1), held("192.0.2.3", 3))))
    (outcome,) = answer.outcomes
    assert [(child.ordinal, str(child.address)) for child in outcome.assigned] == [
        (1, "192.0.2.1"),
        (2, "192.0.2.2"),
        (3, "192.0.2.3"),
    ]


def test_a_new_child_does_not_take_the_name_of_one_of_the_other_family_in_the_same_answer():
    """A Service's first family is immutable; the name is free once that child is deleted."""
    both = Pool.parse(["192.0.2.1", "2001:db8::1"])
    changed = scenes.wish(ipv4=None, ipv6=1, held=(held("192.0.2.1", 1),))
    (outcome,) = scenes.decide(scenes.balancer(2, both), [changed]).outcomes
    assert [(child.ordinal, str(child.address)) for child in outcome.assigned] == [
        (2, "2001:db8::1")
    ]


def test_auto_is_one_address_a_node_and_grows_with_them():
    (one,) = scenes.settled(four(scenes.wish(ipv4=model.AUTO)), [scenes.wish(ipv4=model.AUTO)])
    assert len(one.held) == 3
    assert len(scenes.assigned(four(one, nodes=4))) == 4


def test_auto_never_shrinks_by_itself():
    (one,) = scenes.settled(four(scenes.wish(ipv4=model.AUTO)), [scenes.wish(ipv4=model.AUTO)])
    before = [str(child.address) for child in one.held]
    assert scenes.assigned(four(one, nodes=1)) == before
    assert scenes.assigned(four(one, nodes=0)) == before


def test_auto_that_lost_its_children_is_as_many_as_it_had_by_our_own_record_and_are_free():
    had = tuple(map(address, ("192.0.2.1", "192.0.2.3", "192.0.2.4", "203.0.113.9")))
    lost = scenes.wish("lost", model.AUTO, created=1.0, adopted=had, recorded=True)
    assert scenes.assigned(four(lost, nodes=1), "lost") == ["192.0.2.1", "192.0.2.3", "192.0.2.4"]
    other = scenes.wish("other", created=2.0, held=(held("192.0.2.3"),))
    assert scenes.assigned(four(lost, other, nodes=1), "lost") == ["192.0.2.1", "192.0.2.4"]


def test_auto_that_gave_an_address_up_for_another_gets_no_more_for_a_record_of_both():
    had = tuple(map(address, ("192.0.2.1", "192.0.2.2")))
    children = held("192.0.2.1", 1), held("192.0.2.4", 2)
    one = scenes.wish(ipv4=model.AUTO, held=children, adopted=had, recorded=True)
    assert scenes.assigned(four(one, nodes=2)) == ["192.0.2.1", "192.0.2.4"]


def test_auto_is_no_more_for_what_somebody_else_wrote_into_the_status():
    had = tuple(map(address, ("192.0.2.1", "192.0.2.3", "192.0.2.4")))
    moved_here = scenes.wish(ipv4=model.AUTO, adopted=had)
    assert scenes.assigned(four(moved_here, nodes=2)) == ["192.0.2.1", "192.0.2.3"]


def test_an_addresses_listed_in_the_status_is_taken_over():
    answer = four(
        scenes.wish("a", created=1.0),
        scenes.wish("b", created=2.0, adopted=(address("192.0.2.1"), address("203.0.113.9"))),
    )
    assert scenes.assigned(answer, "b") == ["192.0.2.1"]
    assert scenes.assigned(answer, "a") == ["192.0.2.2"]


def test_a_lost_child_gets_its_address_back_from_the_status():
    adopted = (address("192.0.2.4"), address("192.0.2.3"))
    answer = four(scenes.wish(ipv4=2, held=(held("192.0.2.4", 1),), adopted=adopted))
    assert scenes.assigned(answer) == ["192.0.2.4", "192.0.2.3"]


def test_no_more_is_taken_over_than_the_count():
    adopted = tuple(map(address, ("192.0.2.4", "192.0.2.3", "192.0.2.2")))
    assert scenes.assigned(four(scenes.wish(ipv4=1, adopted=adopted))) == ["192.0.2.4"]


def test_without_members_nothing_new_is_given_out():
    answer = four(scenes.wish("a"), scenes.wish("b", held=(held("192.0.2.2"),)), nodes=0)
    assert scenes.assigned(answer, "a") == []
    assert scenes.assigned(answer, "b") == ["192.0.2.2"]
    assert scenes.shortfalls(answer, "a") == (model.NoNodes(),)


def test_the_totals_count_shared_and_quarantined_addresses_right():
    answer = four(
        scenes.wish("a", sharing_key="k", ports=frozenset({("TCP", 80)})),
        scenes.wish("b", sharing_key="k", ports=frozenset({("TCP", 443)})),
        quarantined=frozenset({address("192.0.2.3")}),
    )
    assert answer.ipv4 == model.Total(total=4, assigned=1, free=2)
    assert answer.ipv6 == model.Total(total=0, assigned=0, free=0)


DUAL = Pool.parse(["192.0.2.1-192.0.2.4", "2001:db8::1"])


def test_a_service_that_requires_both_families_gets_both():
    answer = scenes.decide(
        scenes.balancer(2, DUAL), [scenes.wish(ipv4=1, ipv6=1, both_or_none=True)]
    )
    assert scenes.assigned(answer) == ["192.0.2.1", "2001:db8::1"]


def test_or_none_and_what_it_would_have_got_goes_to_others():
    asked = [
        scenes.wish("six", None, ipv6=1, created=0.0),
        scenes.wish("hungry", 1, created=1.0),
        scenes.wish("both", 4, ipv6=1, both_or_none=True, created=2.0),
        scenes.wish("later", 4, created=3.0),
    ]
    answer = scenes.decide(scenes.balancer(2, DUAL), asked)
    assert scenes.assigned(answer, "both") == []
    assert scenes.shortfalls(answer, "both") == (model.OneFamilyOnly(6),)
    assert len(scenes.assigned(answer, "later")) == 3


def test_a_service_that_prefers_both_takes_one_and_the_other_later():
    prefers = scenes.wish("prefers", 1, ipv6=1, created=1.0)
    first = scenes.wish("six", None, ipv6=1, created=0.0)
    answer = scenes.decide(scenes.balancer(2, DUAL), [first, prefers])
    assert scenes.assigned(answer, "prefers") == ["192.0.2.1"]
    assert scenes.shortfalls(answer, "prefers") == (model.PoolExhausted(6, 1),)
    (settled,) = scenes.settled(answer, [prefers])
    answer = scenes.decide(scenes.balancer(2, DUAL), [settled])
    assert scenes.assigned(answer, "prefers") == ["192.0.2.1", "2001:db8::1"]


def test_a_service_that_now_requires_both_keeps_the_one_it_has():
    asked = [
        scenes.wish("six", None, ipv6=1, created=0.0),
        scenes.wish("web", 2, ipv6=1, both_or_none=True, created=1.0, held=(held("192.0.2.2"),)),
    ]
    answer = scenes.decide(scenes.balancer(2, DUAL), asked)
    assert scenes.assigned(answer, "web") == ["192.0.2.2"]


def test_what_a_service_that_is_being_deleted_still_shows_is_given_to_nobody_yet():
    leaving = scenes.wish("gone", adopted=(address("192.0.2.1"), address("203.0.113.1")))
    asked = scenes.wish(ipv4=2, requested=(address("192.0.2.1"),))
    answer = four(asked, leaving=(leaving,))
    assert scenes.assigned(answer) == ["192.0.2.2"]
    assert scenes.shortfalls(answer) == (model.Taken(address("192.0.2.1"), ("shop", "gone")),)
    assert answer.ipv4 == model.Total(4, 2, 2)
    assert sorted(scenes.assigned(four(asked))) == ["192.0.2.1", "192.0.2.2"]


def test_whoever_has_or_may_share_the_address_of_a_leaving_service_does():
    leaving = scenes.wish(
        "gone", sharing_key="k", ports=frozenset({("TCP", 80)}), adopted=(address("192.0.2.1"),)
    )
    having = scenes.wish("a", held=(held("192.0.2.1"),))
    assert scenes.assigned(four(having, leaving=(leaving,)), "a") == ["192.0.2.1"]
    sharing = scenes.wish("b", sharing_key="k", ports=frozenset({("TCP", 443)}))
    assert scenes.assigned(four(sharing, leaving=(leaving,)), "b") == ["192.0.2.1"]


ADDRESSES = st.integers(0, 9).map(lambda n: address("192.0.2.0") + n)
PORTS = st.frozensets(st.tuples(st.sampled_from(["TCP", "UDP"]), st.integers(80, 82)), max_size=3)
KEYS = st.sampled_from([None, "k", "l"])


@st.composite
def anything(draw) -> list[model.Wish]:
    """Draw Services that contradict each other in any way that a cluster could."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        children = draw(st.lists(ADDRESSES, max_size=3))
        found.append(
            scenes.wish(
                f"s{number}",
                draw(st.one_of(st.none(), st.integers(0, 4), st.just(model.AUTO))),
                ipv6=draw(st.one_of(st.none(), st.integers(0, 2))),
                both_or_none=draw(st.booleans()),
                created=float(draw(st.integers(0, 3))),
                requested=tuple(draw(st.lists(ADDRESSES, max_size=3))),
                adopted=tuple(draw(st.lists(ADDRESSES, max_size=2))),
                recorded=draw(st.booleans()),
                sharing_key=draw(KEYS),
                ports=draw(PORTS),
                held=tuple(
                    model.Held(
                        ordinal,
                        child,
                        tuple(draw(st.lists(st.sampled_from("abcd"), unique=True))),
                        draw(st.integers(1, 3)),
                        float(draw(st.integers(0, 3))),
                        reported_in_use=draw(st.booleans()),
                        ever_announced=draw(st.booleans()),
                        lost_to_stranger=draw(st.none() | ADDRESSES),
                        sharing_key=(key := draw(KEYS)),
                        ports=draw(PORTS) if key is not None else frozenset(),
                    )
                    for ordinal, child in enumerate(children, 1)
                ),
            )
        )
    return found


@st.composite
def any_balancer(draw) -> model.Balancer:
    return model.Balancer(
        "b",
        Pool.parse(
            draw(st.sampled_from([["192.0.2.0/30"], ["192.0.2.2-192.0.2.8", "2001:db8::1"]]))
        ),
        tuple(draw(st.lists(st.sampled_from("abcd"), unique=True))),
        frozenset(draw(st.lists(ADDRESSES, max_size=2))),
        leaving=tuple(
            scenes.wish(
                f"leaving{number}",
                sharing_key=draw(st.sampled_from([None, "k"])),
                ports=draw(PORTS),
                adopted=tuple(shown),
            )
            for number, shown in enumerate(draw(st.lists(st.lists(ADDRESSES, max_size=2))))
        ),
    )


@given(balancer=any_balancer(), asked=anything())
def test_whatever_is_asked_each_address_has_one_owner_or_a_lawful_share(balancer, asked):
    owners: dict[Address, list[model.Wish]] = {}
    wishes = {one.key: one for one in asked}
    for outcome in scenes.decide(balancer, asked).outcomes:
        assert len({child.ordinal for child in outcome.assigned}) == len(outcome.assigned)
        for child in outcome.assigned:
            assert child.address in balancer.pool
            owners.setdefault(child.address, []).append(wishes[outcome.key])
    for sharers in owners.values():
        assert len(sharers) == 1 or may_share(sharers)
    for leaving in balancer.leaving:
        for shown in leaving.adopted:
            for owner in owners.get(shown, ()):
                had = any(child.address == shown for child in owner.held)
                assert had or may_share([leaving, owner])


def may_share(sharers) -> bool:
    keys = {one.sharing_key for one in sharers}
    ports = [port for one in sharers for port in one.ports]
    return len(keys) == 1 and None not in keys and len(ports) == len(set(ports))


@given(balancer=any_balancer(), asked=anything())
def test_whatever_is_asked_nobody_gets_more_than_is_wanted(balancer, asked):
    wishes = {one.key: one for one in asked}
    for outcome in scenes.decide(balancer, asked).outcomes:
        for version in (4, 6):
            got = sum(child.address.version == version for child in outcome.assigned)
            wish = wishes[outcome.key]
            wanted = wish.count(version)
            if wanted is model.AUTO:
                requested = len({a for a in wish.requested if a.version == version})
                held = {child.address for child in wish.held}
                had = held.union(wish.adopted if wish.recorded else ())
                had_of_family = sum(address.version == version for address in had)
                wanted = max(len(balancer.nodes), requested, had_of_family)
            assert got <= (wanted or 0)


@given(balancer=any_balancer(), asked=anything(), status_follows=st.booleans())
def test_whatever_is_asked_the_answer_settles(balancer, asked, status_follows):
    """At once, or once more after a stranger's address came free for one who requests it."""
    seen = []
    for _ in range(3):
        answer = scenes.decide(balancer, asked)
        balancer = dataclasses.replace(balancer, quarantined=frozenset(answer.quarantined))
        asked = list(come_true(answer, asked, status_follows=status_follows))
        seen.append(scenes.lists(answer))
    assert seen[1] == seen[2]


def come_true(answer: model.Placement, asked: list[model.Wish], *, status_follows: bool):
    """Return the wishes once the children are as answered, and the statuses too or not yet."""
    for before, one in zip(asked, scenes.settled(answer, asked), strict=True):
        listed = tuple(child.address for child in one.held)
        yield dataclasses.replace(
            one,
            adopted=listed if status_follows else before.adopted,
            recorded=status_follows or before.recorded,
        )
