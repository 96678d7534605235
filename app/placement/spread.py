# SPDX-License-Identifier: MIT
"""Addresses spread over nodes, and the exchanges that level them with the fewest moves.

An address belongs to groups: the addresses of one Service and family. Addresses of the same
groups are interchangeable and form a hub. A hub may give up a place at node u for one at node w
if each of its groups has more at u than at w; in a group that is spread evenly this keeps it so.
Loads that only such exchanges can reach form an M-convex set, so what no path of exchanges
improves is optimal (K. Murota, Discrete Convex Analysis, 2003), unless an address is in several
groups, where it is as good as the paths find.

Nodes, groups and hubs are small integers; of equals, the lower is taken.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_OUTSIDE: Final = 1 << 40  # dearer than any number of moves


@dataclass(slots=True)
class Hub:
    """Interchangeable addresses: how many are at a node, at home there, and may not leave it."""

    groups: tuple[int, ...]
    at: dict[int, int] = field(default_factory=dict)
    home: dict[int, int] = field(default_factory=dict)
    fixed: dict[int, int] = field(default_factory=dict)


Step = tuple[int, int, int]  # hub, from node, to node


class Spread:
    """How many addresses each node has: of all, and of each group."""

    def __init__(
        self,
        nodes: Sequence[int],
        load: list[int],
        counts: dict[int, list[int]],
        groups_of_hubs: Iterable[tuple[int, ...]],
    ) -> None:
        """Start from `load` and `counts` (group -> count by node), which are taken over.

        They are indexed by node and may say more than `nodes`, the only ones that are looked at.
        """
        self.nodes = nodes
        self.load = load
        self.counts = counts
        self.hubs = [Hub(groups) for groups in groups_of_hubs]
        self._hubs_at: list[dict[int, None]] = [{} for _ in load]

    def add(self, hub: int, node: int, *, home: bool = False, fixed: bool = False) -> None:
        """Put one more address of a hub on a node; leaving its home costs a move."""
        self._put(hub, node, 1)
        places = self.hubs[hub]
        if home:
            places.home[node] = places.home.get(node, 0) + 1
        if fixed:
            places.fixed[node] = places.fixed.get(node, 0) + 1

    def gap(self) -> int:
        """Return the difference between the most and the least loaded node."""
        loads = [self.load[node] for node in self.nodes]
        return max(loads) - min(loads)

    def even_out(self, groups: Iterable[int]) -> None:
        """Spread each of the groups so that no node has two more of it than another."""
        for group in groups:
            while (step := self._evening(group)) is not None:
                self._shift(step)

    def flatten(self, room: Mapping[int, int] | None = None) -> None:
        """Level the loads as far as any exchanges can.

        With `room`, only the nodes in it take more addresses, each at most so many more.
        """
        sinks = None if room is None else sorted(room)
        start = list(self.load)
        while True:
            takers = self.nodes
            if room is not None:
                takers = [n for n, more in room.items() if self.load[n] - start[n] < more]
            if not takers or not self._flatten_once(takers, sinks):
                return

    def level(self, low: int, high: int) -> None:
        """Bring all loads into low..high with the fewest addresses away from home."""
        while any(not low <= self.load[node] <= high for node in self.nodes):
            path = self._cheapest(low, high)
            if path is None or not self._follow(path):
                return

    def seats(self, wanted: Iterable[tuple[int, int | None]]) -> list[int]:
        """Return a node for each (hub, node where it would stay); the earlier stays more surely."""
        asked = list(wanted)
        places = [dict(hub.at) for hub in self.hubs]
        nodes: list[int] = []
        for hub, stay in asked:
            stays = stay is not None and places[hub].get(stay, 0) > 0
            nodes.append(stay if stay is not None and stays else -1)
            if stay is not None and stays:
                places[hub][stay] -= 1
        left = [
            [node for node in sorted(free, reverse=True) for _ in range(free[node])]
            for free in places
        ]
        return [
            node if node >= 0 else left[hub].pop()
            for node, (hub, _) in zip(nodes, asked, strict=True)
        ]

    def _put(self, hub: int, node: int, by: int) -> None:
        places = self.hubs[hub]
        here = places.at.get(node, 0) + by
        if here:
            places.at[node] = here
            self._hubs_at[node][hub] = None
        else:
            del places.at[node]
            del self._hubs_at[node][hub]
        self.load[node] += by
        for group in places.groups:
            self.counts[group][node] += by

    def _shift(self, step: Step) -> None:
        hub, origin, target = step
        self._put(hub, origin, -1)
        self._put(hub, target, 1)

    def _may(self, step: Step) -> bool:
        hub, origin, target = step
        places = self.hubs[hub]
        return places.at.get(origin, 0) > places.fixed.get(origin, 0) and all(
            self.counts[group][origin] > self.counts[group][target] for group in places.groups
        )

    def _follow(self, path: Sequence[Step]) -> bool:
        """Take all steps of a path or none: with shared addresses one may forbid a later one."""
        for taken, step in enumerate(path):
            if not self._may(step):
                for hub, origin, target in reversed(path[:taken]):
                    self._shift((hub, target, origin))
                return False
            self._shift(step)
        return True

    def _evening(self, group: int) -> Step | None:
        counts = self.counts[group]
        least = min(counts[node] for node in self.nodes)
        full = [node for node in self.nodes if counts[node] >= least + 2]
        if not full:
            return None
        full.sort(key=lambda node: (-counts[node], -self.load[node], node))
        short = [node for node in self.nodes if counts[node] == least]
        short.sort(key=lambda node: (self.load[node], node))
        for origin in full:
            for hub in sorted(self._hubs_at[origin]):
                groups = self.hubs[hub].groups
                if group not in groups:
                    continue
                for target in short:
                    if all(self.counts[g][origin] > self.counts[g][target] for g in groups):
                        return hub, origin, target
        return None

    def _flatten_once(self, takers: Sequence[int], sinks: Collection[int] | None) -> bool:
        least = min(self.load[node] for node in takers)
        for source in sorted(self.nodes, key=lambda node: (-self.load[node], node)):
            if self.load[source] < least + 2:
                return False
            path = self._shortest(source, takers, sinks)
            if path is not None and self._follow(path):
                return True
        return False

    def _shortest(
        self, source: int, takers: Collection[int], sinks: Collection[int] | None
    ) -> list[Step] | None:
        """Return the fewest exchanges that take one from `source` and level it with a taker."""
        reached: dict[int, Step | None] = {source: None}
        layer = [source]
        while layer:
            following: list[int] = []
            for origin in layer:
                for step in self._steps(origin, sinks):
                    if step[2] not in reached:
                        reached[step[2]] = step
                        following.append(step[2])
            ends = [n for n in following if n in takers and self.load[n] + 2 <= self.load[source]]
            if ends:
                return _path(reached, min(ends, key=lambda node: (self.load[node], node)))
            layer = following
        return None

    def _steps(self, origin: int, sinks: Collection[int] | None) -> Iterator[Step]:
        for hub in sorted(self._hubs_at[origin]):
            places = self.hubs[hub]
            if places.at[origin] <= places.fixed.get(origin, 0):
                continue
            targets: Iterable[int] = self.nodes
            if sinks is not None:
                left = [n for n, home in places.home.items() if places.at.get(n, 0) < home]
                targets = [*sinks, *sorted(left)]
            counts = [self.counts[group] for group in places.groups]
            for target in targets:
                if all(count[origin] > count[target] for count in counts):
                    yield hub, origin, target

    def _price(self, step: Step) -> int:
        """Return how many more addresses of the hub are away from home after the step."""
        hub, origin, target = step
        places = self.hubs[hub]
        leaves = places.at[origin] <= places.home.get(origin, 0)
        returns = places.at.get(target, 0) < places.home.get(target, 0)
        return leaves - returns

    def _cheapest(self, low: int, high: int) -> list[Step] | None:
        """Return the steps that bring most into low..high for the fewest moves (Bellman-Ford)."""
        cost = {node: _leaving(self.load[node], low, high) for node in self.nodes}
        reached: dict[int, Step | None] = dict.fromkeys(self.nodes)
        queue = deque(sorted(self.nodes, key=lambda node: (cost[node], node)))
        waiting = set(queue)
        left = len(self.nodes) ** 2  # shared addresses may make a circle that only gains
        while queue and left:
            left -= 1
            origin = queue.popleft()
            waiting.discard(origin)
            for step in self._steps(origin, None):
                reach = cost[origin] + self._price(step)
                if reach < cost[step[2]]:
                    cost[step[2]] = reach
                    reached[step[2]] = step
                    if step[2] not in waiting:
                        waiting.add(step[2])
                        queue.append(step[2])
        total, end = min(
            (
                (cost[node] + _entering(self.load[node], low, high), node)
                for node in self.nodes
                if reached[node] is not None
            ),
            default=(0, 0),
        )
        return _path(reached, end) if total < 0 else None


def _leaving(load: int, low: int, high: int) -> int:
    return -_OUTSIDE if load > high else 0 if load > low else _OUTSIDE


def _entering(load: int, low: int, high: int) -> int:
    return -_OUTSIDE if load < low else 0 if load < high else _OUTSIDE


def _path(reached: dict[int, Step | None], end: int) -> list[Step]:
    """Return the steps that led to `end`."""
    path: list[Step] = []
    node = end
    while (step := reached[node]) is not None and len(path) < len(reached):
        path.append(step)
        node = step[1]
    path.reverse()
    return path
