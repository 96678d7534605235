# SPDX-License-Identifier: MIT
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import conditions
from app.service import record
from contract import names, pool

addresses = st.lists(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), min_size=1, max_size=8, unique=True
)


def standing(message):
    return [{"type": names.ASSIGNED_CONDITION, "message": message}]


@given(addresses, st.sampled_from(["", "2 more are missing; extend from here"]))
def test_what_a_message_records_is_read_back(given_addresses, rest):
    message = record.sentence(given_addresses, "front", rest)
    assert list(record.addresses(standing(message))) == given_addresses
    assert rest in message


@given(addresses, st.data())
def test_what_is_left_of_more_records_all_of_it(given_addresses, data):
    chosen = data.draw(st.sets(st.sampled_from(given_addresses), min_size=1))
    left = [address for address in given_addresses if address in chosen]
    message = record.sentence(left, "front", "1 is missing", of=given_addresses)
    assert list(record.addresses(standing(message))) == given_addresses


def test_without_addresses_the_rest_is_the_message():
    assert record.sentence([], "front", "none is free") == "none is free"


def test_what_was_had_is_recorded_too():
    address = ipaddress.ip_address("192.0.2.1")
    message = record.sentence([address], "front", "it is gone", verb="had")
    assert record.addresses(standing(message)) == (address,)


@pytest.mark.parametrize(
    "message",
    [
        None,
        3,
        "",
        "address 192.0.2.1 belongs to Service shop/web",
        "another load balancer has written 192.0.2.1 into the status",
        "has from front",
        "has : from front",
    ],
)
def test_other_messages_record_nothing(message):
    assert record.addresses(standing(message)) == ()


def test_only_our_own_condition_counts():
    assert record.addresses([{"type": "Other", "message": "has 192.0.2.1 from front"}]) == ()


def test_the_longest_record_fits_into_a_condition_with_room_for_the_reason():
    last = int(ipaddress.IPv6Address("fd00:1111:2222:3333:4444:5555:6666:7777"))
    most = [ipaddress.IPv6Address(last - number) for number in range(2 * names.MAX_IP_COUNT)]
    sentence = record.sentence(most[1:], "x" * 80, of=most)
    assert len(sentence) < conditions.MAX_MESSAGE - 4096


def test_the_record_of_a_service_on_very_many_nodes_is_kept_and_read_back_in_order():
    first = int(ipaddress.IPv6Address("fd00:1111:2222:3333:4444:5555:6666:0"))
    many: list[pool.Address] = [
        ipaddress.IPv4Address("198.51.0.1"),
        ipaddress.IPv4Address("192.0.2.9"),
    ]
    many += [ipaddress.IPv4Address("10.0.0.0") + number for number in range(5000)]
    many += [ipaddress.IPv6Address(first + number) for number in range(4998)]
    sentence = record.sentence(many[1:], "front", "one is missing", of=many)
    assert "10.0.0.0-10.0.19.135" in sentence
    assert len(sentence) < conditions.MAX_MESSAGE
    assert list(record.addresses(standing(sentence))) == many


@pytest.mark.parametrize("words", ["10.0.0.9-10.0.0.1", "0.0.0.0-255.255.255.255", "::1-", "-::1"])
def test_ranges_that_we_never_write_record_nothing(words):
    found = record.addresses(standing(f"has {words} from front"))
    assert len(found) <= 1


def test_a_record_tells_its_balancer_and_since_when_a_child_is_gone():
    one = [ipaddress.IPv4Address("192.0.2.10")]
    gone = standing(record.sentence(one, "front", record.without_child("2026-01-31T13:00:00Z")))
    assert record.balancer(gone) == "front"
    assert record.without_child_since(gone) == "2026-01-31T13:00:00Z"
    assert record.addresses(gone) == tuple(one)
    assert record.balancer(standing(record.sentence(one, "back", verb="had"))) == "back"
    assert record.without_child_since(standing(record.sentence(one, "front"))) is None
    assert record.balancer([]) is None


def test_a_record_tells_since_when_which_balancer_has_not_answered():
    one = [ipaddress.IPv4Address("192.0.2.10")]
    waiting = record.unanswered("back", "2026-01-31T13:00:00Z")
    for message in (waiting, record.sentence(one, "front", waiting, verb="had")):
        assert record.unanswered_since(standing(message), "back") == "2026-01-31T13:00:00Z"
        assert record.unanswered_since(standing(message), "front") is None
    assert record.unanswered_since(standing(record.sentence(one, "front")), "front") is None
