# SPDX-License-Identifier: MIT
"""The decision: addresses first, then their preferred nodes, then the stand-ins."""

from collections.abc import Iterable, Sequence

from app.placement import addresses, model, preferred, stand_ins, units


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
        [
            model.Outcome(
                wish.namespace, wish.name, wish.uid, _assigned(seats, numbers, lists), shortfalls
            )
            for wish, seats, numbers, shortfalls in zip(
                services, allocation.seats, memory.seated, allocation.shortfalls, strict=True
            )
        ]
    )
    return model.Placement(outcomes, allocation.quarantined, *allocation.totals)


def _lists(memory: units.Memory) -> list[tuple[tuple[str, ...], int]]:
    """Return the list of each unit and the version of it."""
    ordered = stand_ins.order(memory, preferred.prefer(memory))
    lists: list[tuple[tuple[str, ...], int]] = []
    for unit, numbers in zip(memory.units, ordered, strict=True):
        if numbers == unit.listed and len(numbers) == len(unit.names):
            nodes = unit.names
        else:
            nodes = tuple([memory.names[n] for n in numbers])
        lists.append((nodes, unit.version + (nodes != unit.latest)))
    return lists


def _assigned(
    seats: Sequence[addresses.Seat],
    numbers: Sequence[int],
    lists: Sequence[tuple[tuple[str, ...], int]] | None,
) -> tuple[model.Assigned, ...]:
    """Return a Service's children; without any member node, `lists` is None and theirs stay."""
    if lists is not None:
        return tuple(
            [
                model.Assigned(seat.ordinal, seat.address, *lists[number])
                for seat, number in zip(seats, numbers, strict=True)
            ]
        )
    kept = []
    for seat in seats:
        if seat.held is None:
            raise AssertionError(f"{seat.address} was given out though the balancer has no member")
        kept.append(
            model.Assigned(seat.ordinal, seat.address, seat.held.nodes, seat.held.list_version)
        )
    return tuple(kept)


def _creation(wish: model.Wish) -> tuple[float, str, str, str]:
    return wish.created, wish.namespace, wish.name, wish.uid
