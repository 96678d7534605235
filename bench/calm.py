# SPDX-License-Identifier: MIT
"""Whether addresses move without cause while every core is fought over.

Two busy processes a core for ten minutes. A change of holder is seen on the wire: another MAC
answers for an address, each asked five times a second. For ours the speakers' own count is added.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
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
        before = _counts(speakers) if speakers is not None and counted else {}
        scenario.say(f"{processes} busy processes for {minutes:g} minutes")
        every = [address for some in addresses.values() for address in some]
        with place.wire.ask(every, every_s=EVERY_S) as seen, busy(processes):
            time.sleep(minutes * 60)
        after = _counts(speakers) if speakers is not None and counted else {}
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
                    note=_note(before, after) if mine else "",
                ),
                report.Row(
                    "longest time without an answer",
                    one.name,
                    "s",
                    tuple(round(silence[address], 3) for address in addresses[one.name]),
                ),
            ]
    return rows


def _counts(speakers: ours.Ours) -> dict[str, float]:
    totals = {TAKEN: 0.0, STALLS: 0.0}
    for node in speakers.nodes:
        for series, value in speakers.counters(node).items():
            name = series.partition("{")[0]
            if name in totals:
                totals[name] += value
    return totals


def _note(before: dict[str, float], after: dict[str, float]) -> str:
    taken, stalls = (after[name] - before[name] for name in (TAKEN, STALLS))
    return f"the speakers themselves count {taken:g} addresses taken and {stalls:g} stalls"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("calm", __doc__, run, arguments)
