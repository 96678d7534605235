# SPDX-License-Identifier: MIT
"""The decision: addresses first, then their preferred nodes, then the stand-ins."""

from collections.abc import Iterable, Mapping

from app.placement import addresses, model, preferred, stand_ins, units
from contract.pool import Address


def place(balancer: model.Balancer, wishes: Iterable[model.Wish]) -> model.Placement:
    """Return what every Service of a balancer gets, and who holds it.

    A function of its arguments only, whatever order they come in; the answer, once it is what the
    Services have, is answered again. Promises: docs/placement.md.
    """
    services = sorted(wishes, key=_creation)
    allocation = addresses.allocate(balancer, services)
    memory = units.recall(balancer, allocation.seats)
    lists = _lists(memory) if memory.names else None
    outcomes = tuple(
        model.Outcome(
            wish.namespace,
            wish.name,
            wish.uid,
            tuple(_assigned(seat, lists) for seat in seats),
            shortfalls,
        )
        for wish, seats, shortfalls in zip(
            services, allocation.seats, allocation.shortfalls, strict=True
        )
    )
    return model.Placement(outcomes, allocation.quarantined, *allocation.totals)


def _lists(memory: units.Memory) -> dict[Address, tuple[tuple[str, ...], int]]:
    """Return the list of each address and the version of it."""
    ordered = stand_ins.order(memory, preferred.prefer(memory))
    lists: dict[Address, tuple[tuple[str, ...], int]] = {}
    for unit, numbers in zip(memory.units, ordered, strict=True):
        nodes = tuple(memory.names[number] for number in numbers)
        unchanged = unit.agreed and nodes == unit.names
        lists[unit.address] = nodes, unit.version if unchanged else unit.version + 1
    return lists


def _assigned(
    seat: addresses.Seat, lists: Mapping[Address, tuple[tuple[str, ...], int]] | None
) -> model.Assigned:
    if lists is not None:
        return model.Assigned(seat.ordinal, seat.address, *lists[seat.address])
    if seat.held is None:
        raise AssertionError(f"{seat.address} was given out though the balancer has no member")
    return model.Assigned(seat.ordinal, seat.address, seat.held.nodes, seat.held.list_version)


def _creation(wish: model.Wish) -> tuple[float, str, str, str]:
    return wish.created, wish.namespace, wish.name, wish.uid
