# SPDX-License-Identifier: MIT
"""Whether new connections fail when an address moves on purpose: 50 a second to each address.

SIGTERM of the speaker that the client uses; a cordon of its node; all speakers restarted one after
another; and the way back of an address to its preferred node after a failure. A failed connection
is a new one that was not served; `cut` ones were open when their address moved, and the service
proxy's connection tracking does not move along. The wire tells whether the address moved at all;
where ours did not, nothing was measured, and that sample does not count.
"""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Final

from bench.common import report, scenario, world
from bench.rivals import contender, ours
from lab import inside

ADDRESSES: Final = 3
STEADY_S: Final = 1.3
AFTER_S: Final = 1.5
MOVES_WITHIN_S: Final = 15.0
STAYS_S: Final = 3.0  # nobody but us moves addresses off a cordoned node
NOTHING_LOST: Final = (report.Bar("worst", 0),)
KINDS: Final = ("SIGTERM", "cordon", "rolling restart", "fail-back")


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One move: connections to all addresses, and whether another MAC came to answer."""

    failed: int
    cut: int
    served: int
    moved: bool


class Moves:
    """The planned moves of one contender's addresses."""

    def __init__(
        self, place: world.World, one: contender.Contender, addresses: Sequence[str]
    ) -> None:
        self.place = place
        self.one = one
        self.addresses = addresses

    def sample(self, kind: str, victim: str) -> Sample:
        """Move the victim and make all as before; return what the clients and the wire saw."""
        self.place.refresh(self.addresses)
        with self.place.wire.ask([victim]) as asked:
            seen = self._fail_back(victim) if kind == "fail-back" else self._move(kind, victim)
        return Sample(
            failed=sum(result["failed"] for result in seen),
            cut=sum(result["cut"] for result in seen),
            served=sum(result["served"] for result in seen),
            moved=len(asked[0].changes) > 1,
        )

    def _move(self, kind: str, victim: str) -> list[dict[str, Any]]:
        with self.place.client.watch(self.addresses) as results:
            time.sleep(STEADY_S)
            node = self.place.used_node(victim)
            mac = self.place.client.mac_of(victim)
            if kind == "SIGTERM":
                self.one.stop(node)
                self._until_moved(victim, mac, MOVES_WITHIN_S)
            elif kind == "cordon":
                self.place.lab.kubectl("cordon", node)
                mine = isinstance(self.one, ours.Ours)
                self._until_moved(victim, mac, MOVES_WITHIN_S if mine else STAYS_S)
            else:
                for restarted in self.one.nodes:
                    self.one.stop(restarted)
                    self.one.start(restarted)
                    self.one.wait_ready(restarted)
            time.sleep(AFTER_S)
        if kind == "SIGTERM":
            self.one.start(node)
        elif kind == "cordon":
            self.place.lab.kubectl("uncordon", node)
        return results

    def _fail_back(self, victim: str) -> list[dict[str, Any]]:
        """Kill it, wait until another serves, and watch only the way back."""
        node = self.place.used_node(victim)
        mac = self.place.client.mac_of(victim)
        self.place.cut(node)
        self.place.client.forget(victim)
        inside.until(
            lambda: self.place.client.ask(victim) and self.place.client.mac_of(victim) != mac,
            f"another node serves {victim}",
        )
        time.sleep(STEADY_S)
        with self.place.client.watch(self.addresses) as results:
            self.place.plug(node)
            self.place.settle(self.addresses, self.one.preferred())
            time.sleep(AFTER_S)
        return results

    def _until_moved(self, victim: str, mac: str | None, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            inside.until(
                lambda: self.place.client.mac_of(victim) not in {mac, None},
                f"{victim} has moved",
                within_s=within_s,
            )


def rows_of(kind: str, one: contender.Contender, samples: Sequence[Sample]) -> list[report.Row]:
    """Return the rows of one kind of move; without a move of ours its bar is not met."""
    mine = isinstance(one, ours.Ours)
    counted = [sample for sample in samples if sample.moved or not mine]
    note = "it does not move on a cordon" if kind == "cordon" and not mine else ""
    if still := len(samples) - len(counted):
        note = f"not measured in {still} of {len(samples)} samples: the address did not move"
    failed, cut = (tuple(float(getattr(s, of)) for s in counted) for of in ("failed", "cut"))
    bars = NOTHING_LOST if mine else ()
    return [
        report.Row(f"{kind}: failed", one.name, "", failed, bars=bars, note=note),
        report.Row(f"{kind}: cut", one.name, "", cut, note=note if not cut else ""),
    ]


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Do all moves, the contenders taking turns."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        present = [one for one in everybody if one.missing is None]
        moves = {one.name: Moves(place, one, one.serve(ADDRESSES)) for one in present}
        for kind in KINDS:
            taken: dict[str, list[Sample]] = {one.name: [] for one in present}
            mine, others = options.samples(6, 1), options.samples(2, 1)
            for number in range(mine):
                for one in present:
                    if not isinstance(one, ours.Ours) and number >= others:
                        continue
                    place.settle_all(everybody, {name: m.addresses for name, m in moves.items()})
                    addresses = moves[one.name].addresses
                    sample = moves[one.name].sample(kind, addresses[number % len(addresses)])
                    taken[one.name].append(sample)
                    scenario.say(f"{kind} {number + 1}, {one.name}: {sample}")
            for one in everybody:
                if one.missing is not None:
                    rows.append(report.Row.missing(f"{kind}: failed", one.name, one.missing))
                else:
                    rows += rows_of(kind, one, taken[one.name])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("handover", __doc__, run, arguments)
