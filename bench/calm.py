# SPDX-License-Identifier: MIT
"""Whether addresses move without cause while every core is fought over.

Two busy processes a core for ten minutes. A change of holder is seen on the wire: another MAC
answers for an address, each asked five times a second. Who gives an address up and takes it again
is not seen there, so for ours each speaker's own counts are rows too. `addresses taken` has a bar.
`stalls` has none: a machine with so much to do may let a process wait for longer than any deadline,
and then giving up is right; what that costs is an address taken.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import ours

ADDRESSES: Final = 5
BUSY_A_CORE: Final = 2
MINUTES: Final = 10.0
QUICK_MINUTES: Final = 0.25
EVERY_S: Final = 0.2
NOTHING: Final = (report.Bar("worst", 0),)
TAKEN: Final = "l2lb_speaker_taken_total"
STALLS: Final = "l2lb_speaker_stalls_total"


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes computing."""
    argv = [sys.executable, "-I", "-c", "while True: pass"]
    running = [subprocess.Popen(argv) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Let the time pass and count."""
    rows: list[report.Row] = []
    minutes = QUICK_MINUTES if options.quick else MINUTES * options.scale
    processes = BUSY_A_CORE * (os.cpu_count() or 1)
    with place.contenders() as everybody:
        addresses = {one.name: one.serve(ADDRESSES) for one in everybody if one.missing is None}
        for one in everybody:
            if one.missing is None:
                place.settle(addresses[one.name], one.preferred())
        speakers = next((one for one in everybody if isinstance(one, ours.Ours)), None)
        counted = speakers is not None and speakers.missing is None
        before = _counts(speakers) if speakers is not None and counted else []
        scenario.say(f"{processes} busy processes for {minutes:g} minutes")
        every = [address for some in addresses.values() for address in some]
        with place.wire.ask(every, every_s=EVERY_S) as seen, busy(processes):
            time.sleep(minutes * 60)
        after = _counts(speakers) if speakers is not None and counted else []
        changes = {record.address: len(record.changes) - 1 for record in seen}
        silence = {record.address: record.longest_silence_s for record in seen}
        for one in everybody:
            if one.missing is not None:
                rows.append(report.Row.missing("changes of holder", one.name, one.missing))
                continue
            mine = isinstance(one, ours.Ours)
            total = float(sum(changes[address] for address in addresses[one.name]))
            rows += [
                report.Row(
                    f"changes of holder in {minutes:g} min",
                    one.name,
                    "",
                    (total,),
                    bars=NOTHING if mine else (),
                ),
                report.Row(
                    "longest time without an answer",
                    one.name,
                    "s",
                    tuple(round(silence[address], 3) for address in addresses[one.name]),
                ),
            ]
            if mine:
                rows += counted_rows(one.name, before, after)
    return rows


def counted_rows(
    name: str, before: Sequence[Mapping[str, float]], after: Sequence[Mapping[str, float]]
) -> list[report.Row]:
    """Return what the speakers themselves counted, a sample each."""

    def risen(total: str) -> tuple[float, ...]:
        return tuple(_rise(b[total], a[total]) for b, a in zip(before, after, strict=True))

    return [
        report.Row("addresses taken, of each speaker", name, "", risen(TAKEN), bars=NOTHING),
        report.Row("stalls, of each speaker", name, "", risen(STALLS)),
    ]


def _rise(before: float, after: float) -> float:
    """Return by how much a counter rose; one that fell began anew in a process that restarted."""
    return after - before if after >= before else after


def _counts(speakers: ours.Ours) -> list[dict[str, float]]:
    """Return both totals of each speaker."""
    found = []
    for node in speakers.nodes:
        totals = {TAKEN: 0.0, STALLS: 0.0}
        for series, value in speakers.counters(node).items():
            name = series.partition("{")[0]
            if name in totals:
                totals[name] += value
        found.append(totals)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("calm", __doc__, run, arguments)
