# SPDX-License-Identifier: MIT
"""Who holds what by the lists: now, and after nodes have failed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from app.placement import model
from contract.pool import Address

Lists = Mapping[Address, Sequence[str]]  # each address's nodes, in order


def lists(placement: model.Placement) -> dict[Address, tuple[str, ...]]:
    """Return the list of each address; a shared address is there once."""
    return {
        child.address: child.nodes for outcome in placement.outcomes for child in outcome.assigned
    }


def holder(nodes: Iterable[str], failed: Collection[str] = ()) -> str | None:
    """Return the first of a list that has not failed; None: nobody holds the address."""
    return next((node for node in nodes if node not in failed), None)


def loads(held: Lists, nodes: Iterable[str], failed: Collection[str] = ()) -> dict[str, int]:
    """Return how many addresses each of `nodes` holds that has not failed, in their order."""
    counts = {node: 0 for node in nodes if node not in failed}
    for listed in held.values():
        node = holder(listed, failed)
        if node in counts:
            counts[node] += 1
    return counts


def gap(counts: Mapping[Any, int]) -> int:
    """Return the difference between the most and the least loaded node; 0 without any."""
    return max(counts.values()) - min(counts.values()) if counts else 0


def window(counts: Sequence[int], width: int) -> tuple[int, int]:
    """Return where loads `width` apart take the fewest moves: (least load, moves at the least)."""
    mean, rest = divmod(sum(counts), len(counts))

    def moves(low: int) -> int:
        above = sum(max(0, count - low - width) for count in counts)
        below = sum(max(0, low - count) for count in counts)
        return max(above, below)

    lowest = max(0, mean + bool(rest) - width)
    low = min(range(lowest, mean + 1), key=lambda low: (moves(low), -low))
    return low, moves(low)
