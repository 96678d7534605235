# SPDX-License-Identifier: MIT
"""One row while it happens: what the client sees, who answers, and what must hold all the time."""

import contextlib
import dataclasses
import datetime as dt
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.e2e.faults import matrix, stage, wire

STEADY_S = 0.6  # that everything is seen to work before the fault
CONNECT_EVERY_S = 0.04
LOOK_EVERY_S = 0.1
ENOUGH = 2  # looks in a row at which all was right

Json = dict[str, Any]


@dataclasses.dataclass(slots=True)
class Watched:
    """What a fault can look at while it lasts; `moves` counts changes of holder, afterwards."""

    stage: stage.Stage
    wire: wire.Wire
    held: Mapping[str, str]  # address -> the node that answered for it before the fault
    hurt: set[str]  # nodes whose addresses may be lost; a fault adds to it
    moves: int = 0

    @property
    def victim(self) -> str:
        """The address whose node most faults strike."""
        return self.stage.addresses[0]

    @property
    def node(self) -> str:
        """The node that held the victim before the fault."""
        return self.held[self.victim]

    def others(self, *nodes: str) -> tuple[str, ...]:
        """Return the balancer nodes but for these."""
        return tuple(node for node in stage.NODES if node not in nodes)

    def until_held(self, by: Iterable[str], addresses: Iterable[str] | None = None) -> None:
        """Wait until each address (the victim's, by default) is answered by some of these nodes."""
        allowed = set(by)
        wanted = [self.victim] if addresses is None else list(addresses)
        self.wire.until(
            lambda now: all(
                self._holders(now, a) and self._holders(now, a) <= allowed for a in wanted
            ),
            f"{', '.join(wanted)} answered by one of {', '.join(sorted(allowed))}",
        )

    def until_taken(self) -> None:
        """Wait until every address of the nodes that are hurt is answered by another node."""
        lost = [address for address, node in self.held.items() if node in self.hurt]
        self.until_held(self.others(*self.hurt), lost)

    def _holders(self, now: Mapping[str, frozenset[str]], address: str) -> set[str]:
        return {self.stage.machine_of(mac) for mac in now.get(address, ())}


class Trial:
    """Runs one row on the stage and writes what came of it."""

    def __init__(self, row: matrix.Row, on: stage.Stage) -> None:
        self.row = row
        self.stage = on

    @contextlib.contextmanager
    def running(
        self, *, hurts: Iterable[str] | None = None, strangers: Iterable[str] = ()
    ) -> Iterator[Watched]:
        """Watch while the block does and undoes the fault; then wait until all is right, and judge.

        ``hurts`` names the nodes whose addresses may be lost, by default the victim's;
        ``strangers`` are MACs that answer because the fault is that they do. Raises AssertionError
        with every sentence that did not hold.
        """
        addresses = self.stage.addresses
        with wire.watched(addresses) as seen:
            if wrong := until_right(self.stage, seen):
                raise AssertionError(f"before the fault: {wrong}")
            held = {one.address: one.nodes[0] for one in self.stage.children()}
            hurt = {held[addresses[0]]} if hurts is None else set(hurts)
            for address in addresses:
                self.stage.outside.forget(address)
            targets = [f"[{address}]:80" for address in addresses]
            with self.stage.outside.watch(targets, every_s=CONNECT_EVERY_S) as connections:
                time.sleep(STEADY_S)
                began = time.monotonic()
                watched = Watched(self.stage, seen, held, hurt)
                yield watched
                ended = time.monotonic()
                complaint = until_right(self.stage, seen)
                right_s = time.monotonic() - ended
        lost = [address for address in addresses if held[address] in hurt]
        measured = {
            "lasted_s": round(ended - began, 1),
            "right_s": round(right_s, 1),
            **_of_connections(connections, lost),
            **self._of_wire(seen.seen, lost or addresses[:1]),
        }
        watched.moves = sum(max(0, len(one.holders()) - 1) for one in seen.seen.values())
        broken = [
            *self._broken(seen.seen, measured, strangers),
            *([complaint] if complaint else []),
        ]
        self._write(measured, broken)
        assert not broken, "; ".join(broken)

    def _of_wire(self, seen: Mapping[str, wire.Seen], lost: Iterable[str]) -> Json:
        return {
            "silent_s": max(seen[address].silent_s for address in lost),
            "doubled_s": max(one.doubled_s for one in seen.values()),
            "holders": {
                address: [
                    self.stage.machine_of(mac) for macs in one.holders() for mac in sorted(macs)
                ]
                for address, one in seen.items()
            },
        }

    def _broken(
        self,
        seen: Mapping[str, wire.Seen],
        measured: Mapping[str, Any],
        strangers: Iterable[str],
    ) -> Iterator[str]:
        """Return every invariant that did not hold."""
        for address, one in seen.items():
            if foreign := sorted(one.macs - self.stage.macs.keys() - set(strangers)):
                yield f"{address} was answered by {', '.join(foreign)}, which is no node's MAC"
            if one.doubled_s > self.row.overlap_s:
                yield f"{address} was answered by two nodes for {one.doubled_s} s"
        if failed := measured["failed_elsewhere"]:
            yield f"{failed} connections failed to addresses whose nodes were well"

    def _write(self, measured: Json, broken: list[str]) -> None:
        document = {
            "row": self.row.slug,
            "fault": self.row.fault,
            "group": self.row.group,
            "when": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M"),
            "load": round(os.getloadavg()[0], 1),
            "cores": os.cpu_count(),
            "metacontroller": self.stage.lab.metacontroller,
            **measured,
            "broken": broken,
        }
        matrix.RESULTS.mkdir(parents=True, exist_ok=True)
        path = matrix.RESULTS / f"{self.row.slug}.json"
        scratch = path.with_suffix(".new")
        scratch.write_text(json.dumps(document, indent=1), encoding="utf-8")
        scratch.replace(path)


def until_right(on: stage.Stage, seen: wire.Wire) -> str:
    """Wait until desired and observed are one, twice in a row; return what is still wrong."""
    deadline = time.monotonic() + stage.RIGHT_WITHIN_S
    good = 0
    while good < ENOUGH:
        wrong = on.wrong(seen.now())
        good = 0 if wrong else good + 1
        if time.monotonic() > deadline:
            return f"not right again after {stage.RIGHT_WITHIN_S:g} s: {wrong}"
        time.sleep(LOOK_EVERY_S)
    return ""


def _of_connections(connections: Iterable[Json], lost: Iterable[str]) -> Json:
    """Return how new connections fared at the addresses that may be lost, and at the others."""
    here: list[Json] = []
    elsewhere: list[Json] = []
    for result in connections:
        (here if result["address"] in set(lost) else elsewhere).append(result)
    return {
        "gap_s": max((r["longest_gap_s"] for r in here), default=None),
        "failed": sum(r["failed"] for r in here),
        "served": sum(r["served"] for r in [*here, *elsewhere]),
        "failed_elsewhere": sum(r["failed"] for r in elsewhere),
        "gap_elsewhere_s": max((r["longest_gap_s"] for r in elsewhere), default=None),
        "cut": sum(r["cut"] for r in [*here, *elsewhere]),
    }
