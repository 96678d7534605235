# SPDX-License-Identifier: MIT
"""The network interfaces as they are, and which of them announces an address. Pure."""

import dataclasses
import fnmatch
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final

from contract import pool

ETHERNET_MTU: Final = 1500
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


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A snapshot of all links, their subnets, and the default routes' links by IP version."""

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
        if patterns:
            chosen = [
                index
                for index, link in self.links.items()
                if any(fnmatch.fnmatchcase(link.name, pattern) for pattern in patterns)
            ]
        else:
            chosen = [
                index
                for index, subnets in self.subnets.items()
                if any(address in subnet for subnet in subnets)
            ] or list(self.default_links.get(address.version, ()))
        links = {self._speaker_for(index) for index in chosen}
        return tuple(
            sorted((link for link in links if link and link.ethernet), key=lambda link: link.name)
        )

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
