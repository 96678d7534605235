# SPDX-License-Identifier: MIT
"""What one node pays when nothing happens: processor and memory with 100 addresses.

Every node's speaker is a sample. Run it in a lab of more nodes (`--nodes 31`) to see a large group:
as many as the lab's cores can hold, which are all nodes' at once.
"""

import time
from collections.abc import Sequence
from typing import Final

from bench.common import machine, report, scenario, world
from bench.rivals import keepalived, ours

ADDRESSES: Final = 100
MOST_AT_ONCE: Final = 10  # of keepalived's, whose addresses are written by hand here
SETTLE_S: Final = 20.0  # past the first announcements and statuses
SECONDS: Final = 60.0
QUICK_SECONDS: Final = 5.0
GROUP: Final = 5
CPU_BARS: Final = (report.Bar("worst", 2.0),)
MEMORY_BARS: Final = (report.Bar("worst", 90),)


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Let time pass."""
    rows: list[report.Row] = []
    seconds = QUICK_SECONDS if options.quick else SECONDS
    with place.contenders() as everybody:
        present = [one for one in everybody if one.missing is None]
        counts = {}
        for one in present:
            counts[one.name] = MOST_AT_ONCE if isinstance(one, keepalived.Keepalived) else ADDRESSES
            one.serve(counts[one.name])
        time.sleep(SETTLE_S)
        pids = {(one.name, node): one.process_ids(node) for one in present for node in one.nodes}
        before = {key: machine.cpu_s(ids) for key, ids in pids.items()}
        started = time.monotonic()
        time.sleep(seconds)
        after = {key: machine.cpu_s(ids) for key, ids in pids.items()}
        passed = time.monotonic() - started
        for one in everybody:
            if one.missing is not None:
                rows.append(report.Row.missing("CPU of a core", one.name, one.missing))
                continue
            keys = [(one.name, node) for node in one.nodes]
            percent = tuple(round((after[k] - before[k]) / passed * 100, 3) for k in keys)
            memory = tuple(round(machine.resident_mb(pids[k]), 1) for k in keys)
            held = isinstance(one, ours.Ours) and len(one.nodes) == GROUP
            what = f"{len(keys)} nodes, {counts[one.name]} addresses"
            rows += [
                report.Row(
                    f"{what}: CPU of a core", one.name, "%", percent, CPU_BARS if held else ()
                ),
                report.Row(
                    f"{what}: resident", one.name, "MB", memory, MEMORY_BARS if held else ()
                ),
            ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("idle", __doc__, run, arguments)
