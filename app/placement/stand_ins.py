# SPDX-License-Identifier: MIT
"""The order of the stand-ins behind each preferred node.

The first stand-ins of one node's addresses matter only when that node fails, so each node's
failure is a problem of its own: the addresses that it prefers are spread over the survivors, on
top of what these have. A list is rewritten only where it has to be; what is rewritten is filled
up to the most that is listed.
"""

import operator
import sys
from collections.abc import Sequence
from typing import Final

from app.placement import model, spread, units

LEAST_LISTED: Final = 3  # so that two failures at once leave a node; shorter lists are filled up
_GOLDEN: Final = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: spreads consecutive addresses


def order(memory: units.Memory, preferred: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the list of each unit, its preferred node first, by numbers."""
    return _Lists(memory, preferred).ordered()


class _Lists:
    def __init__(self, memory: units.Memory, preferred: Sequence[int]) -> None:
        self._memory = memory
        self._units = memory.units
        self._preferred = preferred
        self._width = len(memory.names)
        self._most = min(model.MAX_LISTED, self._width)
        self._tails = [
            [node for node in unit.listed if node != first]
            for unit, first in zip(self._units, preferred, strict=True)
        ]
        least = min(LEAST_LISTED, self._width)
        self._rewritten = [
            unit.home != first or len(unit.listed) < len(unit.names) or len(unit.listed) < least
            for unit, first in zip(self._units, preferred, strict=True)
        ]
        self._load = [0] * self._width
        self._counts = [[0] * self._width for _ in range(memory.groups)]
        self._members: list[list[int]] = [[] for _ in range(memory.groups)]
        self._holds: list[list[int]] = [[] for _ in range(self._width)]
        for index, node in enumerate(preferred):
            self._load[node] += 1
            self._holds[node].append(index)
            for group in self._units[index].groups:
                self._counts[group][node] += 1
                self._members[group].append(node)
        self._lows = [(least := min(counts), counts.count(least)) for counts in self._counts]

    def ordered(self) -> list[tuple[int, ...]]:
        if self._width > 1:
            everywhere = bool(self._memory.joined) or self._memory.removed
            for failed, held in enumerate(self._holds):
                if held and (
                    everywhere
                    or any(self._rewritten[index] for index in held)
                    or self._crowds(failed)
                ):
                    self._order_firsts_of(failed, held, everywhere=everywhere)
        if any(self._rewritten):
            self._fill()
        return [(first, *tail) for first, tail in zip(self._preferred, self._tails, strict=True)]

    def _crowds(self, failed: int) -> bool:
        """Whether some node would have two more of a group than another once `failed` is gone.

        A changed count does that to the siblings' lists, which are rewritten then.
        """
        more: dict[int, dict[int, int]] = {}
        for index in self._holds[failed]:
            first = self._tails[index][0]
            for group in self._units[index].groups:
                gains = more.setdefault(group, {})
                gains[first] = gains.get(first, 0) + 1
        for group, gains in more.items():
            counts = self._counts[group]
            least, low = self._lows[group]
            low -= counts[failed] == least
            low -= sum(counts[first] == least for first in gains)
            most = least + 1 if low else least + 2
            if any(counts[first] + gain > most for first, gain in gains.items()):
                return True
        return False

    def _order_firsts_of(self, failed: int, held: Sequence[int], *, everywhere: bool) -> None:
        """Level the failure of one node; without a join or removal in lists rewritten anyway.

        Promise 1 weighs more: a list whose first stand-in would break it is rewritten as well.
        """
        kept = [i for i in held if self._tails[i] and not self._rewritten[i]]
        loose = [i for i in held if self._tails[i] and self._rewritten[i]]
        new = [i for i in held if not self._tails[i]]
        hubs = units.hubs([self._units[index] for index in held])
        hub_of = {index: hubs[tuple(self._units[index].groups)] for index in held}
        groups = sorted({group for index in held for group in self._units[index].groups})
        # Of equals the first, for every failure the same: so one look at their duties tells an
        # added Service which nodes any failure would load more.
        survivors = [node for node in self._memory.nodes if node != failed]

        def board() -> spread.Spread:
            counts = {group: list(self._counts[group]) for group in groups}
            built = spread.Spread(survivors, list(self._load), counts, hubs)
            for index in kept:
                built.add(hub_of[index], self._tails[index][0], home=True, fixed=not everywhere)
            for index in loose:
                built.add(hub_of[index], self._tails[index][0])
            for index in new:
                built.add(hub_of[index], self._pick_first(index, built))
            built.even_out(groups)
            return built

        level = board()
        if level.gap() > 1:
            mean, rest = divmod(sum(level.load[node] for node in survivors), len(survivors))
            level.level(mean, mean + bool(rest))
        if level.gap() > 1:
            best = board()
            best.flatten()
            loads = [best.load[node] for node in survivors]
            level = board()
            level.level(min(loads), max(loads))
        order = [*kept, *loose, *new]
        firsts = level.seats(
            (hub_of[i], self._tails[i][0] if self._tails[i] else None) for i in order
        )
        for index, first in zip(order, firsts, strict=True):
            tail = self._tails[index]
            if not tail or tail[0] != first:
                self._rewritten[index] = True
                self._tails[index] = [first, *(node for node in tail if node != first)]

    def _pick_first(self, index: int, board: spread.Spread) -> int:
        """Return the least loaded survivor that no sibling holds."""
        together = board.together(self._units[index].groups)
        factor = len(self._units) * 2 + 1
        keys = [together[node] * factor + board.load[node] for node in board.nodes]
        return board.nodes[keys.index(min(keys))]

    def _fill(self) -> None:
        """Fill the rewritten lists up: second stand-ins by load, deeper ones in turn."""
        duties = [[0] * self._width for _ in range(self._width)]
        pairs: dict[tuple[int, int], list[int]] = {}
        for failed, held in enumerate(self._holds):
            for index in held:
                tail = self._tails[index]
                if tail:
                    duties[failed][tail[0]] += 1
                if len(tail) > 1:
                    self._pair(pairs, failed, tail[0])[tail[1]] += 1
        for index, tail in enumerate(self._tails):
            if not self._rewritten[index]:
                continue
            failed = self._preferred[index]
            if len(tail) == 1 and self._width > len(tail) + 1:
                second = self._pick_second(index, duties, self._pair(pairs, failed, tail[0]))
                tail.append(second)
                self._pair(pairs, failed, tail[0])[second] += 1
            self._fill_in_turn(index)

    def _pair(self, pairs: dict[tuple[int, int], list[int]], one: int, other: int) -> list[int]:
        key = (one, other) if one < other else (other, one)
        if key not in pairs:
            pairs[key] = [0] * self._width
        return pairs[key]

    def _pick_second(self, index: int, duties: Sequence[list[int]], pair: Sequence[int]) -> int:
        """Return who has least when the preferred node and the first stand-in have both failed."""
        failed, first = self._preferred[index], self._tails[index][0]
        loads = map(operator.add, self._load, pair)
        loads = map(operator.add, loads, duties[failed])
        keys = list(map(operator.add, loads, duties[first]))
        ceiling = max(keys) + 1
        for group in self._units[index].groups:
            for node in self._members[group]:
                keys[node] += ceiling
        keys[failed] = keys[first] = sys.maxsize
        return keys.index(min(keys))

    def _fill_in_turn(self, index: int) -> None:
        """Append members, those without a sibling first, from a start that differs by address."""
        tail = self._tails[index]
        missing = self._most - 1 - len(tail)
        unit = self._units[index]
        start = ((int(unit.address) * _GOLDEN & (1 << 64) - 1) >> 32) % self._width
        siblings = {node for group in unit.groups for node in self._members[group]}
        listed = {self._preferred[index], *tail}
        turn = [n for n in (*range(start, self._width), *range(start)) if n not in listed]
        turn.sort(key=siblings.__contains__)
        tail += turn[: max(0, missing)]
        del tail[self._most - 1 :]
