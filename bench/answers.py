# SPDX-License-Identifier: MIT
"""How many ARP requests a second one node answers, how long an answer takes, and its CPU.

Requests are sent to the holder's MAC by another machine, at rising rates and at last as fast as
it can. A request for which there was no room is lost, so a rate counts by what came back, and the
best of all rates is reported. Generator, switch and answering program share the same cores: what
the program itself spends on an answer, sending included, says what a core of its own would give.
While one is asked the others rest, as MetalLB's speaker reads every request that its node gets.
keepalived leaves answering to the kernel, which the node's own address shows.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Final

from bench.common import machine, report, scenario, world
from bench.rivals import contender, keepalived, ours
from lab import client

RATES: Final = (25_000, 50_000, 100_000, 150_000, 0)
SECONDS: Final = 2.0
LATENCIES: Final = 5000
KERNEL: Final = "the kernel itself"
ANSWER_BARS: Final = (report.Bar("median", 100_000, at_least=True),)
LATENCY_BARS: Final = (report.Bar("median", 80),)
NOBODY: Final = "10.77.0.9"  # no machine of the lab has it


@dataclasses.dataclass(slots=True)
class Target:
    """One address that is asked for, who answers for it, and what came of it.

    `one` is None where the kernel does.
    """

    name: str
    address: str
    one: contender.Contender | None
    best: list[float] = dataclasses.field(default_factory=list)
    cpu_us: list[float] = dataclasses.field(default_factory=list)
    p50_us: list[float] = dataclasses.field(default_factory=list)
    p99_us: list[float] = dataclasses.field(default_factory=list)

    def ask(self, place: world.World) -> None:
        """Take one sample of each number."""
        place.settle([self.address], self.one.preferred() if self.one is not None else {})
        mac = place.wire.macs([self.address])[self.address].pop()
        node = place.machine_of(mac) or ""
        process_ids = self.one.process_ids(node) if self.one is not None else []
        before_s = machine.cpu_s(process_ids)
        floods = [
            place.wire.flood(self.address, to=mac, rate=rate, seconds=SECONDS) for rate in RATES
        ]
        spent_s = machine.cpu_s(process_ids) - before_s
        self.best.append(round(max(one["answered_within"] / one["seconds"] for one in floods)))
        if process_ids:
            answered = sum(one["answered"] for one in floods)
            self.cpu_us.append(round(spent_s / answered * 1e6, 2))
        took = place.wire.latency(self.address, to=mac, count=LATENCIES)
        self.p50_us.append(round(statistics.median(took) * 1e6, 1))
        self.p99_us.append(round(took[len(took) * 99 // 100] * 1e6, 1))

    def rows(self) -> list[report.Row]:
        """Return them as rows."""
        mine = self.name == ours.Ours.name
        rows = [
            report.Row(
                "ARP answers a second",
                self.name,
                "",
                tuple(self.best),
                bars=ANSWER_BARS if mine else (),
                more_is_better=True,
            ),
            report.Row(
                "latency p50",
                self.name,
                "us",
                tuple(self.p50_us),
                bars=LATENCY_BARS if mine else (),
            ),
            report.Row("latency p99", self.name, "us", tuple(self.p99_us)),
        ]
        if self.cpu_us:
            rows.insert(1, report.Row("CPU an answer", self.name, "us", tuple(self.cpu_us)))
        return rows


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Ask one address of each, one after another."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        targets = []
        for one in everybody:
            if one.missing is not None:
                rows.append(report.Row.missing("ARP answers a second", one.name, one.missing))
            elif not isinstance(one, keepalived.Keepalived):
                targets.append(Target(one.name, one.serve(1)[0], one))
        own = place.lab.get("node", place.nodes[0])["status"]["addresses"][0]["address"]
        targets.append(Target(KERNEL, own, None))
        limits = []
        deaf = place.lab.run(
            client.NAME, "cat", f"/sys/class/net/{client.INTERFACE}/address"
        ).strip()
        for number in range(options.samples(5, 1)):
            sent = place.wire.flood(NOBODY, to=deaf, rate=0, seconds=SECONDS)
            limits.append(round(sent["sent"] / sent["seconds"]))
            for target in targets:
                with place.alone(target.one, everybody):
                    target.ask(place)
                scenario.say(
                    f"{number + 1}, of {limits[-1]} sent a second, {target.name}: "
                    f"{target.best[-1]} answered; p50 {target.p50_us[-1]} us"
                )
    for target in targets:
        rows += target.rows()
    what = "requests a second that nobody answers"
    rows.append(report.Row(what, "the generator itself", "", tuple(limits), more_is_better=True))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("answers", __doc__, run, arguments)
