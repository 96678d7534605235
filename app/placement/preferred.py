# SPDX-License-Identifier: MIT
"""The preferred node of each address.

What is placed stays, except what promise 1 (distinct) forces to move, what a node that joined
takes, and what balance still needs after a removal, or after a join that left a Service with
more addresses than there were nodes.
"""

import collections
import operator
import sys
from collections.abc import Sequence
from typing import Final

from app.placement import loads, spread, units
from contract.pool import VERSIONS

_DUTY: Final = 720_720  # divides by all up to 16: shares of it compare exactly


def prefer(memory: units.Memory) -> list[int]:
    """Return the preferred node of each unit, by number; there is at least one member."""
    hubs = units.hubs(memory.units)
    hub_of = [hubs[tuple(unit.groups)] for unit in memory.units]
    width = len(memory.names)
    groups = range(memory.groups)
    counts = {group: [0] * width for group in groups}
    board = spread.Spread(memory.nodes, [0] * width, counts, hubs)
    for hub, unit in zip(hub_of, memory.units, strict=True):
        if unit.home is not None:
            board.add(hub, unit.home, home=True)
    _add_new(memory, hub_of, board)
    share = -(-len(memory.units) // width)  # what a node that joined is filled up to
    most = {node: max(share, board.load[node]) for node in memory.joined}
    board.even_out(groups)
    if most:
        board.flatten({node: load - board.load[node] for node, load in most.items()})
    if most or memory.removed:
        gap = max(1, _gap_before(memory))
        low, _ = loads.window(board.load, gap)
        board.level(low, low + gap)
    order = sorted(range(len(memory.units)), key=lambda number: memory.units[number].displaced)
    seats = board.seats((hub_of[number], memory.units[number].home) for number in order)
    nodes = dict(zip(order, seats, strict=True))
    return [nodes[number] for number in range(len(memory.units))]


def _add_new(memory: units.Memory, hub_of: Sequence[int], board: spread.Spread) -> None:
    """Put each address without a node on the least loaded node that its siblings leave free.

    Of equals, the one is taken that stands in least, then the one that met the siblings least,
    then the one with fewest of the family. Services with few addresses go first: those with many
    have less choice of stand-ins, and should find the nodes level.
    """
    sizes = [0] * memory.groups
    for unit in memory.units:
        for group in unit.groups:
            sizes[group] += 1
    new = [number for number, unit in enumerate(memory.units) if unit.home is None]
    new.sort(key=lambda number: max(sizes[group] for group in memory.units[number].groups))
    if not new:
        return
    left = collections.Counter(group for number in new for group in memory.units[number].groups)
    joining = dict(left)
    company = _Company(board, sizes)
    duties = _duties(memory)
    families = _families(memory)
    for number in new:
        groups = memory.units[number].groups
        family = families[memory.units[number].address.version]
        met = company.of(groups)
        node = min(_least_loaded(board, groups), key=lambda n: (duties[n], met[n], family[n], n))
        board.add(hub_of[number], node)
        family[node] += 1
        company.join(groups, node)
        for group in groups:
            left[group] -= 1
            if not left[group]:
                _expect_duties(duties, board.counts[group], joining[group])


def _least_loaded(board: spread.Spread, groups: Sequence[int]) -> list[int]:
    """Return the nodes with the fewest addresses among those with the fewest of the groups."""
    together = board.together(groups)
    fewest = min(together)
    choice = [
        load if count == fewest else sys.maxsize
        for load, count in zip(board.load, together, strict=True)
    ]
    least = min(choice)
    return [node for node, load in enumerate(choice) if load == least]


def _duties(memory: units.Memory) -> list[int]:
    """Return how often each node is the first stand-in, in units of _DUTY."""
    duties = [0] * len(memory.names)
    for unit in memory.units:
        for first in unit.listed[1:2]:
            duties[first] += _DUTY
    return duties


def _expect_duties(duties: list[int], counts: Sequence[int], joining: int) -> None:
    """Share the stand-ins that a group will need among the nodes that hold none of it."""
    free = counts.count(0)
    for node, count in enumerate(counts):
        if not count:
            duties[node] += joining * _DUTY // free


def _families(memory: units.Memory) -> dict[int, list[int]]:
    families = {version: [0] * len(memory.names) for version in VERSIONS}
    for unit in memory.units:
        if unit.home is not None:
            families[unit.address.version][unit.home] += 1
    return families


class _Company:
    """How often two nodes hold addresses of the same group.

    If the same few nodes kept company again and again, none of them could stand in for another
    and a failure would fall on the rest. A group that leaves at most one node over has no choice
    and is not counted.
    """

    def __init__(self, board: spread.Spread, sizes: Sequence[int]) -> None:
        width = len(board.load)
        self._counted = [size < width - 1 for size in sizes]
        self._met = [[0] * width for _ in range(width)]
        self._members: list[list[int]] = [[] for _ in sizes]
        self._nobody = [0] * width
        self._met_members = dict.fromkeys(range(len(sizes)), self._nobody)
        for group, counts in board.counts.items():
            if self._counted[group]:
                for node, count in enumerate(counts):
                    if count:
                        self.join([group], node)

    def of(self, groups: Sequence[int]) -> list[int]:
        """Return how often each node has met those that hold the groups' addresses."""
        met = self._met_members[groups[0]]
        for group in groups[1:]:
            met = list(map(operator.add, met, self._met_members[group]))
        return met

    def join(self, groups: Sequence[int], node: int) -> None:
        for group in groups:
            if self._counted[group]:
                for member in self._members[group]:
                    self._met[member][node] += 1
                    self._met[node][member] += 1
                self._members[group].append(node)
                met = self._met_members[group]
                self._met_members[group] = list(map(operator.add, met, self._met[node]))


def _gap_before(memory: units.Memory) -> int:
    """Return the difference of loads over the nodes that were there.

    Where an answer may have come true only in part, the lists show more than there was.
    """
    if memory.planned:
        return loads.gap(memory.planned)
    counts = {node: 0 for node in memory.nodes if node not in memory.joined}
    for unit in memory.units:
        if unit.home in counts and not unit.displaced:
            counts[unit.home] += 1
    return loads.gap(counts)
