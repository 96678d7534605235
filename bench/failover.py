# SPDX-License-Identifier: MIT
"""How long new connections fail when a node fails without warning, and who else is disturbed.

Three faults, each on the node that the client uses at that moment for one address: its cable is
pulled out of the switch, its speaker gets SIGKILL, its power is taken. A connection is started
every 20 ms; `gap` is the longest time between two that were served. `wire` is the longest time in
which nobody answered ARP, asked every 10 ms by another machine: a killed speaker's kernel forwards
on, so that a client with the address in its neighbour table need not notice anything. So both have
the same bars: after SIGKILL `wire` alone judges the takeover.
"""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Final

from bench.common import report, scenario, wire, world
from bench.rivals import contender, keepalived, ours
from lab import connections, inside

ADDRESSES: Final = 3
STEADY_S: Final = 1.3  # past the 1 s in which Linux ignores a second change (neigh locktime)
AFTER_S: Final = 1.0
TAKEOVER_BARS: Final = (report.Bar("median", 0.26), report.Bar("worst", 0.4))
KERNEL_ANSWERS: Final = (
    "no takeover: the killed node's kernel keeps the address and goes on answering for it"
)
NOTHING_LOST: Final = (report.Bar("worst", 0),)
EVERY: Final = {"cable cut": (50, 10), "SIGKILL": (20, 5), "node power": (20, 5)}  # ours, others
# A killed speaker's kernel forwards on, so that the client may keep its way for ever.
_TAKEN_WITHIN_S: Final = {"cable cut": 40.0, "SIGKILL": 10.0, "node power": 40.0}


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One fault: the victim's gaps in seconds, and the failed connections of other addresses."""

    gap_s: float
    wire_s: float
    others_failed: int


class Fault:
    """How a fault is done to a node and mended; subclasses of few lines."""

    def __init__(self, place: world.World, everybody: Sequence[contender.Contender]) -> None:
        self.place = place
        self.everybody = everybody

    def do(self, kind: str, one: contender.Contender, node: str) -> None:
        """Let it happen."""
        match kind:
            case "cable cut":
                self.place.cut(node)
            case "SIGKILL":
                one.kill(node)
            case "node power":
                self.place.lab.change("node", "kill", node)

    def mend(self, kind: str, one: contender.Contender, node: str) -> None:
        """Make it whole."""
        match kind:
            case "cable cut":
                self.place.plug(node)
            case "SIGKILL":
                one.start(node)
            case "node power":
                self.place.lab.change("node", "start", node)
                for other in self.everybody:
                    if other.missing is None:
                        other.powered_on(node)


def sample(
    fault: Fault, kind: str, one: contender.Contender, addresses: Sequence[str], victim: str
) -> Sample:
    """Do one fault to the node that the client uses for the victim, and mend it."""
    place = fault.place
    place.refresh(addresses)
    with place.wire.ask([victim]) as asked, place.client.watch(addresses) as results:
        time.sleep(STEADY_S)
        node = place.used_node(victim)
        elsewhere = [a for a in addresses if place.used_node(a) != node]
        mac = place.client.mac_of(victim)
        fault.do(kind, one, node)
        with contextlib.suppress(TimeoutError):  # a client that notices nothing is served on
            inside.until(
                lambda: place.client.mac_of(victim) not in {mac, None},
                "another node answers",
                within_s=_TAKEN_WITHIN_S[kind],
            )
        time.sleep(AFTER_S)
    fault.mend(kind, one, node)
    by_address: dict[str, dict[str, Any]] = {result["address"]: result for result in results}
    return Sample(
        gap_s=by_address[victim]["longest_gap_s"],
        wire_s=round(asked[0].longest_silence_s, 4),
        others_failed=sum(by_address[a]["failed"] for a in elsewhere),
    )


def rows_of(kind: str, one: contender.Contender, samples: Sequence[Sample]) -> list[report.Row]:
    """Return the rows of one fault and one contender."""
    mine = isinstance(one, ours.Ours)
    bars = TAKEOVER_BARS if mine else ()
    nothing = NOTHING_LOST if mine else ()
    gaps = tuple(s.gap_s for s in samples)
    wires = tuple(s.wire_s for s in samples)
    others = tuple(float(s.others_failed) for s in samples)
    note = KERNEL_ANSWERS if kind == "SIGKILL" and isinstance(one, keepalived.Keepalived) else ""
    return [
        report.Row(f"{kind}: gap", one.name, "s", gaps, bars=bars, resolution=connections.EVERY_S),
        report.Row(
            f"{kind}: wire",
            one.name,
            "s",
            wires,
            bars=bars,
            resolution=wire.EVERY_S,
            note=note,
        ),
        report.Row(f"{kind}: failed on other addresses", one.name, "", others, bars=nothing),
    ]


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Do all faults, the contenders taking turns."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        addresses = {one.name: one.serve(ADDRESSES) for one in everybody if one.missing is None}
        fault = Fault(place, everybody)
        taken: dict[tuple[str, str], list[Sample]] = {}
        for kind, (most, fewer) in EVERY.items():
            mine, others = options.samples(most), options.samples(fewer)
            for number in range(mine):
                for one in everybody:
                    if one.missing is not None or not _has_its_turn(one, number, mine, others):
                        continue
                    place.settle_all(everybody, addresses)
                    victim = addresses[one.name][number % ADDRESSES]
                    result = sample(fault, kind, one, addresses[one.name], victim)
                    taken.setdefault((kind, one.name), []).append(result)
                    scenario.say(f"{kind} {number + 1}, {one.name}: {result}")
        for kind in EVERY:
            for one in everybody:
                if one.missing is not None:
                    rows.append(report.Row.missing(f"{kind}: gap", one.name, one.missing))
                else:
                    rows += rows_of(kind, one, taken[kind, one.name])
    return rows


def _has_its_turn(one: contender.Contender, number: int, mine: int, others: int) -> bool:
    """Whether it takes part in this round: the others do so less often, evenly spread."""
    return isinstance(one, ours.Ours) or number * others // mine != (number - 1) * others // mine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("failover", __doc__, run, arguments)
