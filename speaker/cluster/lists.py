# SPDX-License-Identifier: MIT
"""From children, pools and interfaces to what the election is told. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from contract import pool
from speaker.cluster import view, watch
from speaker.links import table
from speaker.protocol import events


@dataclasses.dataclass(frozen=True, slots=True)
class Lists:
    """All addresses with their nodes, and the interfaces and addresses that concern this node.

    `nowhere` are the addresses that should be here first and foremost, and can not, because no
    interface is fit for them.
    """

    listed: tuple[events.Listed, ...]
    interfaces: frozenset[str]
    addresses: Mapping[str, frozenset[pool.Address]]  # that this node may announce, by interface
    nowhere: frozenset[pool.Address]


class Lister:
    """Makes the lists of the node of this name, anew only where something has changed."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._made: dict[pool.Address, _Made] = {}
        self._links = table.EMPTY

    def lists(
        self,
        children: Iterable[view.KnownChild],
        *,
        links: table.Table,
        declined: frozenset[watch.Key],
    ) -> Lists:
        """Combine children and links.

        Children that share an address speak with the voice of the oldest, which all speakers see
        alike; one of them that is declined is enough not to take it.
        """
        sharing: dict[pool.Address, list[view.KnownChild]] = {}
        for known in children:
            sharing.setdefault(known.child.address, []).append(known)
        before, self._made = self._made, {}
        links_changed, self._links = links != self._links, links
        for address, group in sharing.items():
            inputs = _Inputs(tuple(group), any(known.key in declined for known in group))
            made = before.get(address)
            if made is None or links_changed or made.inputs != inputs:
                made = _Made(inputs, _listed(address, inputs, links))
            self._made[address] = made
        return self._combined(tuple(made.listed for made in self._made.values()))

    def _combined(self, listed: tuple[events.Listed, ...]) -> Lists:
        addresses: dict[str, set[pool.Address]] = {}
        for entry in listed:
            if self._node in entry.nodes:
                for name in entry.interfaces:
                    addresses.setdefault(name, set()).add(entry.address)
        return Lists(
            listed=listed,
            interfaces=frozenset(addresses),
            addresses={name: frozenset(some) for name, some in addresses.items()},
            nowhere=frozenset(
                entry.address
                for entry in listed
                if entry.nodes[:1] == (self._node,) and not entry.interfaces
            ),
        )


class _Inputs(NamedTuple):
    """What an entry is made of, but for the links; an unchanged one is compared by identity."""

    group: tuple[view.KnownChild, ...]
    declined: bool


class _Made(NamedTuple):
    inputs: _Inputs
    listed: events.Listed


def _listed(address: pool.Address, inputs: _Inputs, links: table.Table) -> events.Listed:
    voice = min(inputs.group, key=lambda known: (known.created, known.key))
    announcing = links.announcing(address, voice.child.interfaces)
    return events.Listed(
        address=address,
        nodes=voice.child.nodes,
        list_version=voice.child.list_version,
        created=voice.created,
        failback_delay_s=voice.child.failback_delay_s,
        interfaces=tuple(link.name for link in announcing),
        declined=inputs.declined,
        announced=any(known.ever_announced for known in inputs.group),
    )
