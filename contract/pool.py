# SPDX-License-Identifier: MIT
"""Address pools: sets of IPv4 and IPv6 addresses, held as ranges and never expanded."""

import bisect
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

from contract import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Span = tuple[int, int]  # first and last address as integers, both included

IPV4: Final = 4
IPV6: Final = 6
VERSIONS: Final = (IPV4, IPV6)
_OF_VERSION: Final[dict[int, type[Address]]] = {
    IPV4: ipaddress.IPv4Address,
    IPV6: ipaddress.IPv6Address,
}
_LAST_OCTET: Final = 0xFF
_SUBNET_BITS: Final = 64  # RFC 4291 §2.5.1

# What no host on a segment may answer for. RFC 6890, RFC 4291 §2.
_UNUSABLE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/3",
        "::/127",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
)


class PoolError(errors.ContractError):
    """An entry of a pool that is not an address, a range or a CIDR."""


def parse_address(text: str) -> Address:
    """Read one address. Raises ValueError.

    An IPv6 zone (RFC 4007 §11) is refused: the same address with another zone would not compare
    equal.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise ValueError(f"{address} has a zone: leave out '%{address.scope_id}'")
    return address


class Pool:
    """An immutable set of addresses of both families.

    `avoid_buggy` leaves out IPv4 addresses ending in .0 and .255, which some old routers and
    clients take for a network's or a broadcast address.
    """

    __slots__ = ("_firsts", "_spans", "avoid_buggy")

    def __init__(self, spans: Mapping[int, Iterable[Span]], *, avoid_buggy: bool = False) -> None:
        """`spans` maps an IP version to spans in any order; overlapping ones are merged."""
        self.avoid_buggy = avoid_buggy
        self._spans = {version: _merged(spans.get(version, ())) for version in VERSIONS}
        self._firsts = {version: [a for a, _ in self._spans[version]] for version in VERSIONS}

    @classmethod
    def parse(cls, entries: Iterable[str], *, avoid_buggy: bool = False) -> Self:
        """Read the entries of `spec.addressPool`: a CIDR, `first-last`, or one address, each.

        Raises PoolError naming the entry and what would be right.
        """
        spans: dict[int, list[Span]] = {version: [] for version in VERSIONS}
        for entry in entries:
            version, span = _parse_entry(entry)
            spans[version].append(span)
        return cls(spans, avoid_buggy=avoid_buggy)

    def __contains__(self, address: Address) -> bool:
        return self._spanned(address) and not self._avoided(address)

    def leaves_out(self, address: Address) -> bool:
        """Whether the address would be one of the pool, but for `avoid_buggy`."""
        return self._spanned(address) and self._avoided(address)

    def _spanned(self, address: Address) -> bool:
        value = int(address)
        index = bisect.bisect_right(self._firsts[address.version], value) - 1
        return index >= 0 and value <= self._spans[address.version][index][1]

    def _avoided(self, address: Address) -> bool:
        return self.avoid_buggy and address.version == IPV4 and _is_buggy(int(address))

    def __bool__(self) -> bool:
        return any(self.size(version) for version in VERSIONS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pool):
            return NotImplemented
        return self._spans == other._spans and self.avoid_buggy == other.avoid_buggy

    def __hash__(self) -> int:
        return hash((self._spans[4], self._spans[6], self.avoid_buggy))

    def __and__(self, other: Self) -> Self:
        """Return what both hold; either's `avoid_buggy` holds for the result."""
        return type(self)(
            {v: _intersection(self._spans[v], other._spans[v]) for v in VERSIONS},
            avoid_buggy=self.avoid_buggy or other.avoid_buggy,
        )

    def __sub__(self, other: Self) -> Self:
        """Return what only this one holds; the ranges of `other` count whole."""
        return type(self)(
            {v: _difference(self._spans[v], other._spans[v]) for v in VERSIONS},
            avoid_buggy=self.avoid_buggy,
        )

    def __str__(self) -> str:
        return ", ".join(_span_text(v, span) for v in VERSIONS for span in self._spans[v])

    def __repr__(self) -> str:
        return f"Pool({str(self)!r}, avoid_buggy={self.avoid_buggy})"

    def size(self, version: int) -> int:
        """Return the number of addresses of a family; as exact as Python's integers."""
        spans = self._spans[version]
        total = sum(last - first + 1 for first, last in spans)
        if self.avoid_buggy and version == IPV4:
            total -= sum(_buggy_up_to(last) - _buggy_up_to(first - 1) for first, last in spans)
        return total

    def addresses(self, version: int) -> Iterator[Address]:
        """Yield the addresses of a family in ascending order, one at a time."""
        address_of = _OF_VERSION[version]
        skip = self.avoid_buggy and version == IPV4
        for first, last in self._spans[version]:
            for value in range(first, last + 1):
                if not (skip and _is_buggy(value)):
                    yield address_of(value)


def _parse_entry(entry: str) -> tuple[int, Span]:
    text = entry.strip()
    if "/" in text:
        span = _parse_cidr(text)
    elif "-" in text:
        span = _parse_range(text)
    else:
        address = _parse_address(text, entry)
        span = (address, address)
    first, last = span
    for network in _UNUSABLE:
        if network.version == first.version and not (
            int(last) < int(network[0]) or int(first) > int(network[-1])
        ):
            raise PoolError(
                f"pool entry {entry!r} reaches into {network}, which no host on a segment "
                "may announce: leave those addresses out"
            )
    return first.version, (int(first), int(last))


def _parse_address(text: str, entry: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise PoolError(
            f"pool entry {entry!r} is not an address, a range or a CIDR: write 192.0.2.10, "
            "192.0.2.10-192.0.2.50 or 2001:db8::/120"
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise PoolError(f"pool entry {entry!r} has a zone: leave out '%{address.scope_id}'")
    return address


def _parse_cidr(text: str) -> tuple[Address, Address]:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise PoolError(
                f"pool entry {text!r} is not a CIDR: write it like 192.0.2.0/24"
            ) from None
        raise PoolError(
            f"pool entry {text!r} has host bits set: write {meant} for the whole network, "
            f"or {text.partition('/')[0]} for one address"
        ) from None
    if network.version == IPV6 and network.prefixlen <= _SUBNET_BITS:
        # A whole subnet's first address is that of its routers, to which every node that forwards
        # belongs: Subnet-Router anycast, RFC 4291 §2.6.1.
        return network[1], network[-1]
    return network[0], network[-1]


def _parse_range(text: str) -> tuple[Address, Address]:
    left, _, right = text.partition("-")
    first, last = _parse_address(left.strip(), text), _parse_address(right.strip(), text)
    if first.version != last.version:
        raise PoolError(f"pool entry {text!r} mixes IPv4 and IPv6: write two entries")
    if int(first) > int(last):
        raise PoolError(f"pool entry {text!r} runs backwards: write {last}-{first}")
    return first, last


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _intersection(ours: tuple[Span, ...], theirs: tuple[Span, ...]) -> Iterator[Span]:
    for first, last in ours:
        for other_first, other_last in theirs:
            low, high = max(first, other_first), min(last, other_last)
            if low <= high:
                yield low, high


def _difference(ours: tuple[Span, ...], theirs: tuple[Span, ...]) -> Iterator[Span]:
    for first, last in ours:
        rest = first
        for other_first, other_last in theirs:
            if other_last < rest or other_first > last:
                continue
            if other_first > rest:
                yield rest, other_first - 1
            rest = other_last + 1
        if rest <= last:
            yield rest, last


def _span_text(version: int, span: Span) -> str:
    address_of = _OF_VERSION[version]
    first, last = address_of(span[0]), address_of(span[1])
    return str(first) if first == last else f"{first}-{last}"


def _is_buggy(value: int) -> bool:
    return value & _LAST_OCTET in {0x00, _LAST_OCTET}


def _buggy_up_to(value: int) -> int:
    """Return how many of the integers 0..value end in the octet 0 or 255."""
    whole, octet = divmod(value + 1, _LAST_OCTET + 1)  # whole octets, and the begun one
    return 2 * whole + (octet > 0)
