# SPDX-License-Identifier: MIT
"""What must hold in every run, however the network and the nodes misbehave."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.simulator.world import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from speaker.protocol import events
    from tests.simulator.world import Node, World


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How long a wrong state may last after the last change from outside, in seconds."""

    two_holders_s: float = 0.5
    # An unheard node that is listed earlier is waited for, for 1 s; then a candidate in its cold
    # start, or whose probe is answered, is passed over after 1 s; then we probe.
    no_holder_s: float = 2.4
    # A speaker younger than this on a segment is still in its cold start and owes nothing yet.
    candidate_age_s: float = 4.0


LOSSLESS = Bounds()
LOSSY = Bounds(two_holders_s=2.0, no_holder_s=2.8)
# Who beats more rarely, because it was starved, may be dead after 1 s instead of 0.25.
STARVED_S = 0.75
DEAD_AFTER_S = 1.0


class Monitor:
    """Watches a segment for two holders who could hear each other, and for nobody at all.

    A clock runs while an address is in a wrong state; changes from outside (a cut, a pause, a new
    list) start it again, because they are what the bound is counted from.
    """

    def __init__(self, world: World, bounds: Bounds = LOSSLESS, interface: str = INTERFACE) -> None:
        self.world = world
        self.bounds = bounds
        self.interface = interface
        self.worst_two_s = self.worst_none_s = 0.0
        self._two_since: dict[events.Address, float] = {}
        self._none_since: dict[tuple[events.Address, frozenset[str]], float] = {}
        world.on_move.append(self._moved)

    def check(self) -> None:
        """Raise AssertionError if a wrong state has lasted for longer than its bound."""
        self._moved("check", None)

    def _moved(self, what: str, moved: events.Address | None) -> None:
        now = self.world.now
        slow_at = max(node.slow_at for node in self.world.nodes.values())

        def within(bound_s: float, since: float) -> bool:
            return now - since <= bound_s + STARVED_S * (slow_at >= since - DEAD_AFTER_S)

        for looked, since in self._two_since.items():
            self.worst_two_s = max(self.worst_two_s, now - since)
            assert within(self.bounds.two_holders_s, since), self._report(
                f"{looked} was held by {self.world.holders(looked, self.interface)}"
            )
        for (looked, side), since in self._none_since.items():
            self.worst_none_s = max(self.worst_none_s, now - since)
            assert within(self.bounds.no_holder_s, since), self._report(
                f"{looked} was held by nobody of {sorted(side)}"
            )
        if what in {"take", "release"}:
            self._look([moved])
        else:
            if what != "check":
                self._two_since.clear()
                self._none_since.clear()
            self._look(self._addresses())

    @property
    def _cut(self) -> set[tuple[str, str]]:
        return self.world.networks[self.interface].cut

    def _addresses(self) -> list[events.Address]:
        found = {c.address: None for n in self.world.nodes.values() for c in n.children}
        held = [a for n in self.world.nodes.values() for a in n.held_on[self.interface]]
        return [*found, *(address for address in held if address not in found)]

    def _look(self, addresses: Iterable[events.Address | None]) -> None:
        now = self.world.now
        sides = list(self._sides())
        for looked in addresses:
            assert looked is not None
            holders = self.world.holders(looked, self.interface)
            if any(self._hear_each_other(a, b) for a in holders for b in holders if a < b):
                self._two_since.setdefault(looked, now)
            else:
                self._two_since.pop(looked, None)
            for side in sides:
                able = {name for name in side if not self._is_deaf(name, side)}
                owed = any(self._owes(self.world.nodes[name], looked) for name in able)
                if owed and able.isdisjoint(holders):
                    self._none_since.setdefault((looked, side), now)
                else:
                    self._none_since.pop((looked, side), None)

    def _owes(self, node: Node, looked: events.Address) -> bool:
        age_s = self.world.now - node.open_since[self.interface]
        if (
            not node.running
            or self.interface in node.refuses
            or age_s < self.bounds.candidate_age_s
        ):
            return False
        return not node.leaving and any(
            child.address == looked
            and node.name in child.nodes
            and self.interface in child.interfaces
            and not child.declined
            for child in node.children
        )

    def _hear_each_other(self, a: str, b: str) -> bool:
        cut = self._cut
        return (a, b) not in cut and (b, a) not in cut

    def _is_deaf(self, name: str, side: frozenset[str]) -> bool:
        """Whether it hears nobody of those that are connected with it: no client either."""
        others = [one for one in side if one != name and self.world.nodes[one].running]
        return bool(others) and all((one, name) in self._cut for one in others)

    def _sides(self) -> Iterator[frozenset[str]]:
        """The connected parts of the segment; a link that is cut one way still connects."""
        cut = self._cut
        left = set(self.world.nodes)
        while left:
            side = {left.pop()}
            edge = set(side)
            while edge:
                one = edge.pop()
                near = {o for o in left if (one, o) not in cut or (o, one) not in cut}
                left -= near
                side |= near
                edge |= near
            yield frozenset(side)

    def _report(self, what: str) -> str:
        history = "\n".join(f"{when:.4f} {node} {action}" for when, node, action in self.world.log)
        where = f"on {self.interface} for too long at {self.world.now:.4f}"
        return f"{history}\n{what} {where}"
