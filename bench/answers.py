# SPDX-License-Identifier: MIT
"""How many ARP requests a second one node answers, and how long an answer takes.

Requests are sent to the holder's MAC by another machine, at rising rates and at last as fast as
it can. An answer that the kernel could not queue is lost, so a rate counts by what came back, and
the best of all rates is reported. The generator and the answering program share the same cores.
keepalived leaves answering to the kernel; the node's own address shows the same.
"""

import statistics
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import keepalived, ours
from lab import client

RATES: Final = (25_000, 50_000, 75_000, 100_000, 125_000, 150_000, 200_000, 0)
SECONDS: Final = 2.0
LATENCIES: Final = 5000
QUICK_LATENCIES: Final = 1000
ANSWER_BARS: Final = (report.Bar("median", 100_000, at_least=True),)
LATENCY_BARS: Final = (report.Bar("median", 80),)
NOBODY: Final = "10.77.0.9"  # no machine of the lab has it, and none would answer


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Ask one address of each, one after another."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        targets: dict[str, tuple[str, str]] = {}  # who -> address, MAC that answers
        for one in everybody:
            if one.missing is not None:
                rows.append(report.Row.missing("ARP answers", one.name, one.missing))
            elif not isinstance(one, keepalived.Keepalived):
                (address,) = one.serve(1)
                place.settle([address], one.preferred())
                targets[one.name] = address, place.wire.macs([address])[address].pop()
        node = place.nodes[0]
        deaf = place.lab.run(
            client.NAME, "cat", f"/sys/class/net/{client.INTERFACE}/address"
        ).strip()
        own = place.lab.get("node", node)["status"]["addresses"][0]["address"]
        targets["the kernel itself"] = own, place.wire.macs([own])[own].pop()
        rounds = options.samples(5, 1)
        best: dict[str, list[float]] = {name: [] for name in targets}
        times_us: dict[str, list[float]] = {name: [] for name in targets}
        limits = []
        for number in range(rounds):
            sent = place.wire.flood(NOBODY, to=deaf, rate=0, seconds=SECONDS)
            limits.append(round(sent["sent"] / sent["seconds"]))
            for name, (address, mac) in targets.items():
                answered = {}
                for rate in RATES:
                    done = place.wire.flood(address, to=mac, rate=rate, seconds=SECONDS)
                    answered[rate] = round(done["answered_within"] / done["seconds"])
                best[name].append(max(answered.values()))
                count = QUICK_LATENCIES if options.quick else LATENCIES
                took = place.wire.latency(address, to=mac, count=count)
                times_us[name].append(round(statistics.median(took) * 1e6, 1))
                p99_us = took[len(took) * 99 // 100] * 1e6
                scenario.say(
                    f"{number + 1}, {name}: answered a second by rate sent {answered}; "
                    f"p50 {times_us[name][-1]} us, p99 {p99_us:.0f} us"
                )
    for name in targets:
        mine = name == ours.Ours.name
        rows += [
            report.Row(
                "ARP answers a second",
                name,
                "",
                tuple(best[name]),
                bars=ANSWER_BARS if mine else (),
                more_is_better=True,
            ),
            report.Row(
                "latency p50", name, "us", tuple(times_us[name]), bars=LATENCY_BARS if mine else ()
            ),
        ]
    rows.append(
        report.Row(
            "requests a second that nobody answers",
            "the generator itself",
            "",
            tuple(limits),
            more_is_better=True,
        )
    )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("answers", __doc__, run, arguments)
