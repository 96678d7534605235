# SPDX-License-Identifier: MIT
"""What is put on nodes: addresses, each once, with the list of nodes that its children carry.

Nodes are numbered by a hash of the balancer and their name, so that the lower number, taken among
equals, is a different node for each of many small balancers over the same nodes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.placement import addresses, model
from contract.pool import Address


@dataclass(slots=True)
class Unit:
    """An address and what is remembered of it.

    `groups` are the Services and families that have it, more than one if it is shared. `listed`
    are the members among `names`, the list that its oldest child carries; `displaced` is true if
    the preferred one is a member no longer. `version` is the highest of its children's, 0 without
    any, and `latest` the list that all of that version carry; None if they differ.
    """

    address: Address
    groups: list[int] = field(default_factory=list)
    names: tuple[str, ...] = ()
    listed: tuple[int, ...] = ()
    displaced: bool = False
    version: int = 0
    latest: tuple[str, ...] | None = None

    @property
    def home(self) -> int | None:
        """The node that holds it if nothing is changed; None: it is new, or none is left."""
        return self.listed[0] if self.listed else None


@dataclass(frozen=True, slots=True)
class Memory:
    """The units in creation order, and what became of the nodes that their lists name.

    `seated` are the numbers of the units by Service and seat. `planned` is how many addresses the
    last answer gave to members that had not just joined, as far as that is known and still holds.
    """

    names: tuple[str, ...]
    units: tuple[Unit, ...]
    seated: tuple[tuple[int, ...], ...]
    groups: int
    joined: tuple[int, ...]
    removed: bool
    planned: Mapping[int, int]

    @property
    def nodes(self) -> range:
        """The member nodes by number."""
        return range(len(self.names))


def recall(balancer: model.Balancer, seats: Sequence[Sequence[addresses.Seat]]) -> Memory:
    """Return the units of the seats of all Services, which are in creation order."""
    names = tuple(sorted(set(balancer.nodes), key=lambda name: (_digest(balancer.uid, name), name)))
    numbers = {name: number for number, name in enumerate(names)}
    units: list[Unit] = []
    children: list[list[model.Held]] = []
    unit_of: dict[Address, int] = {}
    seated: list[tuple[int, ...]] = []
    groups = 0
    for service in seats:
        group_of: dict[int, int] = {}
        mine = []
        for seat in service:
            number = unit_of.setdefault(seat.address, len(units))
            mine.append(number)
            if number == len(units):
                units.append(Unit(seat.address))
                children.append([])
            group = group_of.setdefault(seat.address.version, groups + len(group_of))
            units[number].groups.append(group)
            if seat.held is not None:
                children[number].append(seat.held)
        groups += len(group_of)
        seated.append(tuple(mine))
    for unit, held in zip(units, children, strict=True):
        if held:
            _remember(unit, held, numbers)
    named: set[str] = set().union(*(unit.names for unit in units))
    known = balancer.known or named
    joined = [number for name, number in numbers.items() if name not in known]
    planned = balancer.planned
    deleted = sum(planned.values()) > len(units)  # the hole that this leaves is nobody's to fill
    return Memory(
        names,
        tuple(units),
        tuple(seated),
        groups,
        tuple(joined) if named else (),
        removed=not named | known <= numbers.keys(),
        planned={}
        if deleted
        else {numbers[name]: load for name, load in planned.items() if name in numbers},
    )


def _remember(unit: Unit, held: list[model.Held], numbers: Mapping[str, int]) -> None:
    """Note what the children say that have the address, or are to go on with it."""
    if len(held) > 1:
        held.sort(key=lambda child: (child.address != unit.address, child.created))
    unit.names = held[0].nodes
    unit.listed = tuple(dict.fromkeys([numbers[n] for n in unit.names if n in numbers]))
    unit.displaced = bool(unit.names) and unit.names[0] not in numbers
    unit.version = max([child.list_version for child in held])
    latest = {child.nodes for child in held if child.list_version == unit.version}
    unit.latest = latest.pop() if len(latest) == 1 else None


def _digest(uid: str, node: str) -> bytes:
    return hashlib.blake2b(f"{uid}/{node}".encode(), digest_size=8).digest()


def hubs(members: Sequence[Unit]) -> dict[tuple[int, ...], int]:
    """Return a number for each set of groups that some unit belongs to."""
    numbers: dict[tuple[int, ...], int] = {}
    for unit in members:
        numbers.setdefault(tuple(unit.groups), len(numbers))
    return numbers
