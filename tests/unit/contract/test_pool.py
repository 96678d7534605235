# SPDX-License-Identifier: MIT
import ipaddress
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import pool

V4_BASE = int(ipaddress.ip_address("192.0.2.0"))
V6_BASE = int(ipaddress.ip_address("2001:db8::"))

spans = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 40)).map(lambda s: (s[0], s[0] + s[1])),
    max_size=6,
)


def entry(base: int, version: int, span: tuple[int, int]) -> str:
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    return f"{address(base + span[0])}-{address(base + span[1])}"


def expanded(base: int, spans_: list[tuple[int, int]]) -> set[int]:
    return {base + value for first, last in spans_ for value in range(first, last + 1)}


def values(the_pool: pool.Pool, version: int) -> list[int]:
    return [int(address) for address in the_pool.addresses(version)]


@given(spans, spans, st.booleans())
def test_a_pool_is_the_set_its_entries_say(four, six, avoid_buggy):
    entries = [entry(V4_BASE, 4, s) for s in four] + [entry(V6_BASE, 6, s) for s in six]
    the_pool = pool.Pool.parse(entries, avoid_buggy=avoid_buggy)

    want = {v for v in expanded(V4_BASE, four) if not (avoid_buggy and v & 255 in {0, 255})}
    assert values(the_pool, 4) == sorted(want)
    assert values(the_pool, 6) == sorted(expanded(V6_BASE, six))
    assert the_pool.size(4) == len(want)
    assert bool(the_pool) == bool(want or six)
    assert all(
        (ipaddress.ip_address(v) in the_pool) == (v in want) for v in range(V4_BASE, V4_BASE + 660)
    )


@given(spans, spans)
def test_difference_and_intersection_are_those_of_sets(ours, theirs):
    left = pool.Pool.parse([entry(V4_BASE, 4, s) for s in ours])
    right = pool.Pool.parse([entry(V4_BASE, 4, s) for s in theirs])
    a, b = expanded(V4_BASE, ours), expanded(V4_BASE, theirs)
    assert set(values(left - right, 4)) == a - b
    assert set(values(left & right, 4)) == a & b


@given(spans)
def test_what_a_pool_prints_it_parses(some):
    the_pool = pool.Pool.parse([entry(V6_BASE, 6, s) for s in some])
    text = str(the_pool)
    assert pool.Pool.parse(text.split(", ") if text else []) == the_pool


def test_a_whole_slash_64_is_counted_and_walked_without_being_expanded():
    the_pool = pool.Pool.parse(["2001:db8::/64"])
    assert the_pool.size(6) == 2**64 - 1
    first = [str(a) for a in itertools.islice(the_pool.addresses(6), 3)]
    assert first == ["2001:db8::1", "2001:db8::2", "2001:db8::3"]


@pytest.mark.parametrize(
    ("entry_", "first"),
    [
        ("2001:db8::/48", "2001:db8::1"),
        ("2001:db8::/65", "2001:db8::"),  # part of a subnet
        ("2001:db8::-2001:db8::f", "2001:db8::"),  # whoever writes it has looked
        ("192.0.2.0/24", "192.0.2.0"),
    ],
)
def test_the_routers_address_of_a_whole_ipv6_subnet_is_left_out(entry_: str, first: str):
    the_pool = pool.Pool.parse([entry_])
    version = ipaddress.ip_address(first).version
    assert next(iter(the_pool.addresses(version))) == ipaddress.ip_address(first)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("192.0.2.10/24", "write 192.0.2.0/24 for the whole network, or 192.0.2.10"),
        ("192.0.2.50-192.0.2.10", "write 192.0.2.10-192.0.2.50"),
        ("192.0.2.1-2001:db8::1", "write two entries"),
        ("192.0.2", "is not an address"),
        ("192.0.2.0/33", "is not a CIDR"),
        ("", "is not an address"),
        ("fe80::1%eth0", "leave out '%eth0'"),
        ("239.1.0.0/16", "which no host on a segment may announce"),
        ("0.0.0.0/0", "which no host on a segment may announce"),
        ("::ffff:192.0.2.1", "which no host on a segment may announce"),
    ],
)
def test_a_bad_entry_is_refused_by_name_with_the_remedy(text, remedy):
    with pytest.raises(pool.PoolError) as caught:
        pool.Pool.parse(["192.0.2.1", text])
    assert repr(text) in str(caught.value)
    assert remedy in str(caught.value)
