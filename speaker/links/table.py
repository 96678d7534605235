# SPDX-License-Identifier: MIT
"""The network interfaces as they are, and which of them announces an address. Pure."""

import dataclasses
import fnmatch
import functools
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from contract import pool

ETHERNET_MTU: Final = 1500
_IPV6_MTU: Final = 1280  # the least that IPv6 runs over (RFC 8200 §5)
_PORT_KINDS: Final = frozenset({"bridge", "bond", "team"})


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """A network interface; `master` is the index of the bridge or bond it is a port of.

    `ethernet`: it speaks ARP on Ethernet frames, so addresses can be announced there.
    `carrier`: it is up and running. `port_of` is the kind of its master. `mtu` is in bytes.
    """

    index: int
    name: str
    mac: bytes
    ethernet: bool
    carrier: bool
    master: int | None = None
    port_of: str = ""
    mtu: int = ETHERNET_MTU

    @property
    def is_port(self) -> bool:
        """Whether its master speaks for it."""
        return self.master is not None and self.port_of in _PORT_KINDS

    @property
    def has_ipv6(self) -> bool:
        """Whether its MTU lets IPv6 run; else the kernel forgets its IPv6 addresses and groups."""
        return self.mtu >= _IPV6_MTU


@dataclasses.dataclass(frozen=True)
class Table:
    """A snapshot of all links, their subnets, and the default routes' links by IP version.

    A node has a link for each Pod, and asks for each child: what an answer takes is found once.
    """

    links: Mapping[int, Link]
    subnets: Mapping[int, frozenset[pool.Network]]
    default_links: Mapping[int, tuple[int, ...]]

    def named(self, name: str) -> Link | None:
        """Return the link of this name."""
        return next((link for link in self.links.values() if link.name == name), None)

    def announcing(self, address: pool.Address, patterns: Iterable[str]) -> tuple[Link, ...]:
        """Return the links that announce an address, by name.

        Those that match a shell pattern, if there are patterns; else those with a subnet that
        holds the address; else the default route's. For a port of a bridge or bond, its master.
        """
        patterns = tuple(patterns)
        chosen: frozenset[int]
        if patterns:
            if patterns not in self._matching:
                self._matching[patterns] = frozenset(
                    index
                    for index, link in self.links.items()
                    if any(fnmatch.fnmatchcase(link.name, pattern) for pattern in patterns)
                )
            chosen = self._matching[patterns]
        else:
            inside = [index for subnet, index in self._subnets if address in subnet]
            chosen = frozenset(inside or self.default_links.get(address.version, ()))
        if chosen not in self._speakers:
            links = {self._speaker_for(index) for index in chosen}
            ethernet = (link for link in links if link and link.ethernet)
            self._speakers[chosen] = tuple(sorted(ethernet, key=lambda link: link.name))
        return self._speakers[chosen]

    @functools.cached_property
    def _subnets(self) -> tuple[tuple[pool.Network, int], ...]:
        return tuple((net, index) for index, nets in self.subnets.items() for net in nets)

    @functools.cached_property
    def _matching(self) -> dict[tuple[str, ...], frozenset[int]]:
        """By the patterns of a balancer, of which there are few."""
        return {}

    @functools.cached_property
    def _speakers(self) -> dict[frozenset[int], tuple[Link, ...]]:
        """By the links that an address lies at."""
        return {}

    def _speaker_for(self, index: int) -> Link | None:
        link = self.links.get(index)
        seen: set[int] = set()
        while link is not None and link.is_port and link.index not in seen:
            seen.add(link.index)
            link = self.links.get(link.master or 0)
        return link


EMPTY: Final = Table(links={}, subnets={}, default_links={})


def subnet_of(address: bytes, prefix_length: int) -> pool.Network | None:
    """Return the subnet an interface's address lies in; None for a host route's or link-local."""
    ip = ipaddress.ip_address(address)
    if prefix_length == ip.max_prefixlen or ip.is_link_local:
        return None
    return ipaddress.ip_network((address, prefix_length), strict=False)
