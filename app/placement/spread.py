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

    def together(self, groups: Sequence[int]) -> Sequence[int]:
        """Return how many addresses of any of the groups each node has."""
        if len(groups) == 1:
            return self.counts[groups[0]]
        return [sum(each) for each in zip(*(self.counts[group] for group in groups), strict=True)]

    def even_out(self, groups: Iterable[int]) -> None:
        """Spread each of the groups so that no node has two more of it than another."""
        for group in groups:
            while (step := self._evening(group)) is not None:
                self._shift(step)

    def flatten(self, room: Mapping[int, int] | None = None) -> None:
        """Level the loads as far as any exchanges can.

        With `room`, an address goes only to the nodes in it, or home; each takes at most so many
        more.
        """
        sinks = None if room is None else sorted(room)
        start = list(self.load)
        while True:
            takers = self.nodes
            if room is not None:
                full = {n for n, more in room.items() if self.load[n] - start[n] >= more}
                takers = [node for node in self.nodes if node not in full]
            if not self._flatten_once(takers, sinks):
                return

    def level(self, low: int, high: int) -> None:
        """Bring all loads into low..high with the fewest addresses away from home."""
        least = self._least_conceivable(high)
        while any(not low <= self.load[node] <= high for node in self.nodes):
            step = self._direct_at_most(least, low, high)
            if step is not None:
                self._shift(step)
                continue
            path, least = self._cheapest(low, high)
            if least >= 0 or not self._follow(path):
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
        if max(counts) <= 1:
            return None
        least = min(counts[node] for node in self.nodes)
        full = [node for node in self.nodes if counts[node] >= least + 2]
        if not full:
            return None
        full.sort(key=lambda node: (-counts[node], -self.load[node], node))
        short = [node for node in self.nodes if counts[node] == least]
        short.sort(key=lambda node: (self.load[node], node))
        for origin in full:
            for hub in self._hubs_at[origin]:
                groups = self.hubs[hub].groups
                if group not in groups:
                    continue
                for target in short:
                    if all(self.counts[g][origin] > self.counts[g][target] for g in groups):
                        return hub, origin, target
        return None

    def _flatten_once(self, takers: Sequence[int], sinks: Collection[int] | None) -> bool:
        ascending = sorted(takers, key=lambda node: (self.load[node], node))
        for source in sorted(self.nodes, key=lambda node: (-self.load[node], node)):
            ends = [node for node in ascending if self.load[node] + 2 <= self.load[source]]
            if not ends:
                return False
            path = self._shortest(source, ends, sinks)
            if path and self._follow(path):
                return True
        return False

    def _shortest(
        self, source: int, ends: Sequence[int], sinks: Collection[int] | None
    ) -> list[Step]:
        """Return the fewest exchanges from `source` to one of `ends`, the first if possible."""
        for end in ends:
            for hub in self._movable(source):
                allowed = sinks is None or end in sinks or end in self._vacant(hub)
                if allowed and self._open(hub, source, [end]):
                    return [(hub, source, end)]
        reached: dict[int, Step | None] = {source: None}
        layer = [source]
        while layer:
            following: list[int] = []
            for origin in layer:
                for hub in self._movable(origin):
                    for target in self._open(hub, origin, self._allowed(hub, sinks)):
                        if target not in reached:
                            reached[target] = hub, origin, target
                            following.append(target)
            for end in ends:
                if end in reached:
                    return _path(reached, end)
            layer = following
        return []

    def _movable(self, origin: int) -> list[int]:
        """Return the hubs with an address at `origin` that may leave it."""
        hubs = self.hubs
        return [
            hub
            for hub in self._hubs_at[origin]
            if hubs[hub].at[origin] > hubs[hub].fixed.get(origin, 0)
        ]

    def _open(self, hub: int, origin: int, targets: Iterable[int]) -> list[int]:
        """Return those of `targets` that may take an address of the hub from `origin`."""
        taking = targets
        for group in self.hubs[hub].groups:
            counts = self.counts[group]
            here = counts[origin]
            taking = [node for node in taking if counts[node] < here]
        return list(taking)

    def _allowed(self, hub: int, sinks: Collection[int] | None) -> Iterable[int]:
        """Return where an address may go: with `sinks`, there or back home."""
        if sinks is None:
            return self.nodes
        return [*sinks, *self._vacant(hub)]

    def _vacant(self, hub: int) -> list[int]:
        """Return the homes of the hub with fewer of its addresses than are at home there."""
        places = self.hubs[hub]
        return [node for node, home in places.home.items() if places.at.get(node, 0) < home]

    def _leaving_home(self, hub: int, origin: int) -> bool:
        """Whether one more address of the hub is away from home if `origin` gives one up."""
        places = self.hubs[hub]
        return places.at[origin] <= places.home.get(origin, 0)

    def _least_conceivable(self, high: int) -> int:
        """Return a cost that no path is below."""
        if any(self._vacant(hub) for hub in range(len(self.hubs))):
            return -3 * _OUTSIDE
        free = any(
            not self._leaving_home(hub, origin)
            for origin in self.nodes
            if self.load[origin] > high
            for hub in self._movable(origin)
        )
        return (0 if free else 1) - 2 * _OUTSIDE

    def _direct_at_most(self, least: int, low: int, high: int) -> Step | None:
        """Return a single step that costs no more than the last path did.

        Costs of successive cheapest paths never fall, so none can be cheaper; this saves the
        search.
        """
        leaving, origins = _least([(_leaving(self.load[n], low, high), n) for n in self.nodes])
        entering, targets = _least([(_entering(self.load[n], low, high), n) for n in self.nodes])
        for origin in origins:
            for hub in self._movable(origin):
                spare = least - leaving - entering - self._leaving_home(hub, origin)
                cheap: Iterable[int] = targets
                if spare < 0:  # only coming home makes up for it
                    cheap = set(targets).intersection(self._vacant(hub)) if spare == -1 else ()
                if ends := self._open(hub, origin, cheap):
                    return hub, origin, min(ends)
        return None

    def _cheapest(self, low: int, high: int) -> tuple[list[Step], int]:
        """Return the path that brings most into low..high for the fewest moves, and its cost.

        Bellman-Ford; a negative cost is a gain.
        """
        cost = [_OUTSIDE] * len(self.load)
        for node in self.nodes:
            cost[node] = _leaving(self.load[node], low, high)
        reached: dict[int, Step | None] = dict.fromkeys(self.nodes)
        queue = deque(sorted(self.nodes, key=lambda node: (cost[node], node)))
        waiting = set(queue)
        left = len(self.nodes) ** 2  # shared addresses may make a circle that only gains
        while queue and left:
            left -= 1
            origin = queue.popleft()
            waiting.discard(origin)
            for step, reach in self._cheaper(origin, cost):
                target = step[2]
                if reach < cost[target]:
                    cost[target] = reach
                    reached[target] = step
                    if target not in waiting:
                        waiting.add(target)
                        queue.append(target)
        ends = [node for node in self.nodes if reached[node] is not None]
        if not ends:
            return [], 0
        total, end = min((cost[n] + _entering(self.load[n], low, high), n) for n in ends)
        return _path(reached, end), total

    def _cheaper(self, origin: int, cost: Sequence[int]) -> Iterator[tuple[Step, int]]:
        """Yield the steps from `origin` that reach a node for less than `cost`, and for what."""
        here = cost[origin]
        dearer = {price: [n for n in self.nodes if cost[n] > here + price] for price in (0, 1)}
        for hub in self._movable(origin):
            price = int(self._leaving_home(hub, origin))
            vacant = self._vacant(hub)
            for target in self._open(hub, origin, dearer[price]):
                yield (hub, origin, target), here + price
            if vacant:
                for target in self._open(hub, origin, vacant):
                    yield (hub, origin, target), here + price - 1


def _leaving(load: int, low: int, high: int) -> int:
    return -_OUTSIDE if load > high else 0 if load > low else _OUTSIDE


def _entering(load: int, low: int, high: int) -> int:
    return -_OUTSIDE if load < low else 0 if load < high else _OUTSIDE


def _least(costs: Sequence[tuple[int, int]]) -> tuple[int, list[int]]:
    """Return the least cost and the nodes that have it."""
    least = min(cost for cost, _ in costs)
    return least, [node for cost, node in costs if cost == least]


def _path(reached: dict[int, Step | None], end: int) -> list[Step]:
    """Return the steps that led to `end`."""
    path: list[Step] = []
    node = end
    while (step := reached[node]) is not None and len(path) < len(reached):
        path.append(step)
        node = step[1]
    path.reverse()
    return path
