# SPDX-License-Identifier: MIT
"""How level placement leaves the nodes, what it moves, and how long it takes.

`gap` and `after one` are between the most and the least loaded node, now and after the worst
single failure, in a fresh placement. A join and a leave follow, each from there: how many
addresses moved, the fewest that could level the nodes, and how many lists changed. Times are the
best of a few calls, in ms of processor time, which a busy machine changes least. `peak_kb` is the
most memory that a fresh placement takes for an address; of 3,000 it may be no more than of 300.
The bars are the promises of docs/placement.md.
"""

import argparse
import dataclasses
import gc
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from app.placement import loads, model, place
from bench.common import table
from contract.pool import Pool

# Nodes, Services, addresses of each.
SIZES: Final = (
    (3, 1, 1),
    (3, 10, 3),
    (5, 1, 5),
    (5, 20, 3),
    (5, 1000, 3),
    (10, 100, 3),
    (20, 100, 3),
    (20, 20, 18),
    (50, 1000, 3),
    (100, 10, 3),
    (100, 30, 98),
    (100, 1000, 3),
)
POOL: Final = Pool.parse(["10.0.0.0/8"])
REPEAT: Final = 5
PROMISED: Final = {
    "gap": 1,
    "after_one": 2,
    "join_gap": 1,
    "join_after_one": 2,
    "leave_gap": 1,
    "leave_after_one": 2,
}
LARGEST: Final = {"fresh_ms": 300.0, "same_ms": 100.0}
MOVED: Final = ("join_moved", "leave_moved")  # at most the fewest that level the nodes
MANY: Final = 300
PEAK_KB: Final = 4.0


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, and write it as JSON where `--json` says."""
    parser = argparse.ArgumentParser(prog="python -m bench placement", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    chosen = parser.parse_args(arguments)
    rows = []
    for size in SIZES:
        row = _row(*size)
        bars = PROMISED | {event: row[event.replace("moved", "fewest")] for event in MOVED}
        if row["addresses"] >= MANY:
            bars |= {"peak_kb": PEAK_KB}
        if size == SIZES[-1]:
            bars |= LARGEST
        rows.append(table.judged(row, bars))
        print(table.line(rows[-1]), flush=True)
    if chosen.json is not None:
        table.write(chosen.json, "placement", __doc__, rows)
    return 0


def _row(nodes: int, services: int, count: int) -> dict[str, Any]:
    members = tuple(f"n{number}" for number in range(nodes))
    balancer = model.Balancer("bench", POOL, members)
    asked = [
        model.Wish("bench", f"s{number}", str(number), float(number), ipv4=count)
        for number in range(services)
    ]
    fresh, fresh_ms = _timed(balancer, asked)
    settled = list(_settled(fresh, asked))
    _, same_ms = _timed(balancer, settled)
    held = loads.lists(fresh)
    larger = dataclasses.replace(balancer, nodes=(*members, "joined"))
    smaller = dataclasses.replace(balancer, nodes=members[1:])
    return {
        "nodes": nodes,
        "services": services,
        "addresses": len(held),
        "gap": loads.gap(loads.loads(held, members)),
        "after_one": _worst(held, members),
        "fresh_ms": fresh_ms,
        "same_ms": same_ms,
        "peak_kb": round(_peak_b(balancer, asked) / len(held) / 1024, 1),
        **_change("join", larger, settled, held),
        **_change("leave", smaller, settled, held),
    }


def _change(
    event: str, balancer: model.Balancer, asked: Sequence[model.Wish], before: loads.Lists
) -> dict[str, Any]:
    """Return the row's part for a change of members; `moved` leaves out what has to go."""
    placement, elapsed_ms = _timed(balancer, asked)
    after = loads.lists(placement)
    gone = {node for listed in before.values() for node in listed} - set(balancer.nodes)
    stays = {address: (loads.holder(listed, gone) or "",) for address, listed in before.items()}
    _, fewest = loads.window(list(loads.loads(stays, balancer.nodes).values()), 1)
    return {
        f"{event}_gap": loads.gap(loads.loads(after, balancer.nodes)),
        f"{event}_after_one": _worst(after, balancer.nodes),
        f"{event}_moved": sum(after[address][0] != node for address, (node,) in stays.items()),
        f"{event}_fewest": fewest,
        f"{event}_rewritten": sum(after[address] != listed for address, listed in before.items()),
        f"{event}_ms": elapsed_ms,
    }


def _timed(balancer: model.Balancer, asked: Sequence[model.Wish]) -> tuple[model.Placement, float]:
    best = float("inf")
    for _ in range(REPEAT):
        gc.collect()
        started = time.process_time()
        placement = place.place(balancer, asked)
        best = min(best, time.process_time() - started)
    return placement, round(best * 1000, 1)


def _peak_b(balancer: model.Balancer, asked: Sequence[model.Wish]) -> int:
    tracemalloc.start()
    try:
        place.place(balancer, asked)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _worst(held: loads.Lists, members: Sequence[str]) -> int:
    return max(loads.gap(loads.loads(held, members, {node})) for node in members)


def _settled(placement: model.Placement, asked: Sequence[model.Wish]) -> Iterator[model.Wish]:
    for wish, outcome in zip(asked, placement.outcomes, strict=True):
        held = tuple(
            model.Held(a.ordinal, a.address, a.nodes, a.list_version, wish.created)
            for a in outcome.assigned
        )
        yield dataclasses.replace(wish, held=held)
