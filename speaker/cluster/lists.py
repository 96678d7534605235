# SPDX-License-Identifier: MIT
"""From children, pools and interfaces to what the election is told. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Self

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

    @classmethod
    def of(
        cls,
        node: str,
        children: Iterable[view.KnownChild],
        *,
        links: table.Table,
        declined: frozenset[watch.Key],
    ) -> Self:
        """Combine them for the node of this name.

        Children that share an address speak with the voice of the oldest, which all speakers see
        alike; one of them that is declined is enough not to take it.
        """
        sharing: dict[pool.Address, list[view.KnownChild]] = {}
        for known in children:
            sharing.setdefault(known.child.address, []).append(known)
        listed = tuple(
            _listed(address, group, links, declined) for address, group in sharing.items()
        )
        addresses: dict[str, set[pool.Address]] = {}
        for entry in listed:
            if node in entry.nodes:
                for name in entry.interfaces:
                    addresses.setdefault(name, set()).add(entry.address)
        return cls(
            listed=listed,
            interfaces=frozenset(addresses),
            addresses={name: frozenset(some) for name, some in addresses.items()},
            nowhere=frozenset(
                entry.address
                for entry in listed
                if entry.nodes[:1] == (node,) and not entry.interfaces
            ),
        )


def _listed(
    address: pool.Address,
    group: list[view.KnownChild],
    links: table.Table,
    declined: frozenset[watch.Key],
) -> events.Listed:
    voice = min(group, key=lambda known: (known.created, known.key))
    announcing = links.announcing(address, voice.child.interfaces)
    return events.Listed(
        address=address,
        nodes=voice.child.nodes,
        list_version=voice.child.list_version,
        created=voice.created,
        failback_delay_s=voice.child.failback_delay_s,
        interfaces=tuple(link.name for link in announcing),
        declined=any(known.key in declined for known in group),
        announced=any(known.announced_before for known in group),
    )
