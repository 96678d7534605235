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
    the preferred one is a member no longer. `agreed` is false if its children carry different
    lists; `version` is the highest of theirs, 0 without any.
    """

    address: Address
    groups: list[int] = field(default_factory=list)
    names: tuple[str, ...] = ()
    listed: tuple[int, ...] = ()
    displaced: bool = False
    version: int = 0
    agreed: bool = True

    @property
    def home(self) -> int | None:
        """The node that holds it if nothing is changed; None: it is new, or none is left."""
        return self.listed[0] if self.listed else None


@dataclass(frozen=True, slots=True)
class Memory:
    """The units in creation order, and what became of the nodes that their lists name.

    `seated` are the numbers of the units by Service and seat.
    """

    names: tuple[str, ...]
    units: tuple[Unit, ...]
    seated: tuple[tuple[int, ...], ...]
    groups: int
    joined: tuple[int, ...]
    removed: bool

    @property
    def nodes(self) -> range:
        """The member nodes by number."""
        return range(len(self.names))


def recall(balancer: model.Balancer, seats: Sequence[Sequence[addresses.Seat]]) -> Memory:
    """Return the units of the seats of all Services, which are in creation order."""
    names = tuple(sorted(set(balancer.nodes), key=lambda name: (_digest(balancer.uid, name), name)))
    numbers = {name: number for number, name in enumerate(names)}
    units: list[Unit] = []
    children: list[list[tuple[bool, float, model.Held]]] = []
    unit_of: dict[Address, int] = {}
    seated: list[tuple[int, ...]] = []
    groups: dict[tuple[int, int], int] = {}
    for order, service in enumerate(seats):
        seated.append(tuple([unit_of.setdefault(seat.address, len(unit_of)) for seat in service]))
        for number, seat in zip(seated[-1], service, strict=True):
            if number == len(units):
                units.append(Unit(seat.address))
                children.append([])
            group = groups.setdefault((order, seat.address.version), len(groups))
            units[number].groups.append(group)
            if seat.held is not None:
                moved = seat.held.address != seat.address
                children[number].append((moved, seat.held.created, seat.held))
    for unit, held in zip(units, children, strict=True):
        if held:
            _remember(unit, [child[2] for child in sorted(held, key=_seniority)], numbers)
    named: set[str] = set().union(*(unit.names for unit in units))
    joined = [n for name, n in numbers.items() if name not in named | balancer.known]
    return Memory(
        names,
        tuple(units),
        tuple(seated),
        len(groups),
        tuple(joined) if named else (),
        removed=not named <= numbers.keys(),
    )


def _remember(unit: Unit, held: Sequence[model.Held], numbers: Mapping[str, int]) -> None:
    unit.names = held[0].nodes
    unit.listed = tuple(dict.fromkeys([numbers[n] for n in unit.names if n in numbers]))
    unit.displaced = bool(unit.names) and unit.names[0] not in numbers
    unit.version = max(child.list_version for child in held)
    unit.agreed = all(
        (child.nodes, child.list_version) == (unit.names, unit.version) for child in held
    )


def _seniority(child: tuple[bool, float, model.Held]) -> tuple[bool, float]:
    return child[:2]


def _digest(uid: str, node: str) -> bytes:
    return hashlib.blake2b(f"{uid}/{node}".encode(), digest_size=8).digest()


def hubs(members: Sequence[Unit]) -> dict[tuple[int, ...], int]:
    """Return a number for each set of groups that some unit belongs to."""
    numbers: dict[tuple[int, ...], int] = {}
    for unit in members:
        numbers.setdefault(tuple(unit.groups), len(numbers))
    return numbers
