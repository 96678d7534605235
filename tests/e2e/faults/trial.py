# SPDX-License-Identifier: MIT
"""One row while it happens: what the client sees, who answers, and what must hold all the time."""

import contextlib
import dataclasses
import datetime as dt
import json
import math
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.faults import matrix, programs, stage, wire

STEADY_S = 0.6  # that everything is seen to work before the fault
CONNECT_EVERY_S = 0.04
LOOK_EVERY_S = 0.1
STARVED = 0.05  # of the time; an idle machine has speakers wait for less than a hundredth
CONTROL_WITHIN_S = 1.0
ENOUGH = 2  # looks in a row at which all was right

Json = dict[str, Any]


@dataclasses.dataclass(slots=True)
class Watched:
    """What a fault can look at while it lasts, and afterwards what came of it.

    `moves` counts changes of holder; `waited` is the share of time for which a speaker was ready
    to run and the machine did not let it: what then moves is not the fault's doing.
    """

    stage: stage.Stage
    wire: wire.Wire
    held: Mapping[str, str]  # address -> the node that answered for it before the fault
    hurt: set[str]  # nodes whose addresses may be lost; a fault adds to it
    moves: int = 0
    waited: float = 0.0

    @property
    def calm(self) -> bool:
        """Whether no address changed its holder, but for want of processor time."""
        return not self.moves or self.waited > STARVED

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
            if wrong := until_right(self.stage, seen).wrong:
                raise AssertionError(f"before the fault: {wrong}")
            held = {one.address: one.nodes[0] for one in self.stage.children()}
            hurt = {held[addresses[0]]} if hurts is None else set(hurts)
            for address in addresses:
                self.stage.outside.forget(address)
            targets = [*(f"[{address}]:80" for address in addresses), self.stage.control]
            with self.stage.outside.watch(targets, every_s=CONNECT_EVERY_S) as connections:
                time.sleep(STEADY_S)
                began, delays = time.monotonic(), _run_delays_s()
                watched = Watched(self.stage, seen, held, hurt)
                yield watched
                ended = time.monotonic()
                right = until_right(self.stage, seen)
                lasted_s = time.monotonic() - began
                watched.waited = _waited(delays, _run_delays_s(), lasted_s)
        lost = [address for address in addresses if held[address] in hurt]
        measured = {
            "lasted_s": round(ended - began, 1),
            "waited": watched.waited,
            "wire_right_s": right.wire_s,
            "right_s": right.all_s,
            **_of_connections(connections, lost),
            **self._of_wire(seen.seen, lost),
        }
        watched.moves = sum(max(0, len(one.holders()) - 1) for one in seen.seen.values())
        broken = [
            *self._broken(seen.seen, measured, strangers),
            *silences(self.row, seen.seen, lost),
            *([right.wrong] if right.wrong else []),
        ]
        self._write(measured, broken)
        assert not broken, "; ".join(broken)

    def _of_wire(self, seen: Mapping[str, wire.Seen], lost: Collection[str]) -> Json:
        here = [one.silent_s for address, one in seen.items() if address in lost]
        elsewhere = [one.silent_s for address, one in seen.items() if address not in lost]
        return {
            "silent_s": max(here, default=None),
            "silent_elsewhere_s": max(elsewhere, default=None),
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


@dataclasses.dataclass(frozen=True, slots=True)
class Right:
    """When the wire was right, and all was, in seconds; or what was still wrong in the end."""

    wire_s: float
    all_s: float
    wrong: str = ""


def until_right(on: stage.Stage, seen: wire.Wire) -> Right:
    """Wait until desired and observed are one, at several looks in a row."""
    began = time.monotonic()
    good, wire_s = 0, math.inf
    while True:
        on_wire, said = on.wrong(seen.now())
        now_s = time.monotonic() - began
        wire_s = math.inf if on_wire else min(wire_s, now_s)
        good = 0 if on_wire or said else good + 1
        if good == ENOUGH:
            return Right(round(wire_s, 1), round(now_s, 1))
        if now_s > stage.RIGHT_WITHIN_S:
            wrong = f"not right again after {stage.RIGHT_WITHIN_S:g} s: {on_wire or said}"
            return Right(round(min(wire_s, now_s), 1), round(now_s, 1), wrong)
        time.sleep(LOOK_EVERY_S)


def silences(
    row: matrix.Row, seen: Mapping[str, wire.Seen], lost: Collection[str]
) -> Iterator[str]:
    """Return a sentence for each address for which nobody answered for longer than the row says."""
    for address, one in seen.items():
        most_s = row.silent_s if address in lost else row.silent_elsewhere_s
        if one.silent_s > most_s:
            yield f"nobody answered for {address} for {one.silent_s} s, {most_s:g} s at most"


def _of_connections(connections: Sequence[Json], lost: Iterable[str]) -> Json:
    """Return how new connections fared at the addresses that may be lost, and at the others.

    The last result is the control's, whose connections use none of our addresses. What failed at
    the others while the control failed too is the lab's loss, and not counted as theirs.
    """
    *results, control = connections
    bad_times = [failure["at"] for failure in control["failures"]]
    here: list[Json] = []
    elsewhere: list[Json] = []
    for result in results:
        (here if result["address"] in set(lost) else elsewhere).append(result)
    theirs = [
        failure
        for result in elsewhere
        for failure in result["failures"]
        if not any(abs(failure["at"] - at) < CONTROL_WITHIN_S for at in bad_times)
    ]
    return {
        "gap_s": max((r["longest_gap_s"] for r in here), default=None),
        "failed": sum(r["failed"] for r in here),
        "served": sum(r["served"] for r in results),
        "failed_elsewhere": len(theirs),
        "failed_control": control["failed"],
        "gap_elsewhere_s": max((r["longest_gap_s"] for r in elsewhere), default=None),
        "cut": sum(r["cut"] for r in results),
    }


def _run_delays_s() -> Mapping[int, float]:
    """Return how long each speaker has waited for a processor so far; see proc(5), schedstat."""
    found = {}
    for process in programs.running("speaker"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{process}/schedstat").read_text(encoding="ascii")
            found[process] = int(text.split()[1]) / 1e9
    return found


def _waited(before: Mapping[int, float], after: Mapping[int, float], lasted_s: float) -> float:
    """Return the largest share of the time that a speaker waited which lived all along."""
    lived = before.keys() & after.keys()
    return round(max((after[one] - before[one] for one in lived), default=0.0) / lasted_s, 3)
