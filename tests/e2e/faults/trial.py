# SPDX-License-Identifier: MIT
"""One row while it happens: what the client sees, who answers, and what must hold all the time."""

import contextlib
import dataclasses
import datetime as dt
import json
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.faults import matrix, programs, stage, wire

STEADY_S = 0.6  # that everything is seen to work before the fault
CONNECT_EVERY_S = 0.04
LOOK_EVERY_S = 0.1
BESIDE_EVERY_S = 0.25  # a hundred addresses, most of which nobody has
STARVED = 0.05  # of the time; an idle machine has speakers wait for less than a hundredth
CONTROL_WITHIN_S = 1.0
ENOUGH = 2  # looks in a row at which all was right

Json = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """That of nodes somebody, and nobody else, answered what was asked in a time.

    Times are in seconds since the epoch.
    """

    address: str
    nodes: frozenset[str]
    first: float
    last: float

    def broken(
        self, seen: Mapping[str, wire.Seen], machine_of: Callable[[str], str]
    ) -> Iterator[str]:
        """Return a sentence if it is not so."""
        found = {machine_of(mac) for mac in seen[self.address].between(self.first, self.last)}
        if not found or not found <= self.nodes:
            who = ", ".join(sorted(found)) or "nobody"
            allowed = ", ".join(sorted(self.nodes))
            yield f"{self.address} was answered by {who}, where only {allowed} should have"


@dataclasses.dataclass(slots=True)
class Result:
    """What came of a row: numbers, each sentence that did not hold, and what was excused."""

    measured: Json = dataclasses.field(default_factory=dict)
    broken: list[str] = dataclasses.field(default_factory=list)
    excused: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(slots=True)
class Watched:
    """What a fault can look at while it lasts."""

    stage: stage.Stage
    wire: wire.Wire
    held: Mapping[str, str]  # address -> the node that answered for it before the fault
    hurt: set[str]  # nodes whose addresses may be lost; a fault adds to it
    claims: list[Claim] = dataclasses.field(default_factory=list)

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

    def claim(self, nodes: Iterable[str], first: float, last: float) -> None:
        """State that only these nodes answered for the victim in this time; judged in the end."""
        self.claims.append(Claim(self.victim, frozenset(nodes), first, last))

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
        with (
            recorded(self.row, self.stage.lab.metacontroller) as result,
            self._watching(result, hurts, frozenset(strangers)) as watched,
        ):
            yield watched

    @contextlib.contextmanager
    def _watching(
        self, result: Result, hurts: Iterable[str] | None, strangers: frozenset[str]
    ) -> Iterator[Watched]:
        addresses = self.stage.addresses
        with (
            wire.watched(addresses) as seen,
            wire.watched(self.stage.beside, every_s=BESIDE_EVERY_S) as beside,
        ):
            if wrong := until_right(self.stage, seen, beside).wrong:
                raise AssertionError(f"before the fault: {wrong}")
            seen.until_usual()
            held = {one.address: one.nodes[0] for one in self.stage.children()}
            hurt = {held[addresses[0]]} if hurts is None else set(hurts)
            for address in addresses:
                self.stage.outside.forget(address)
            targets = [*(f"[{address}]:80" for address in addresses), self.stage.control]
            with self.stage.outside.watch(targets, every_s=CONNECT_EVERY_S) as connections:
                time.sleep(STEADY_S)
                began, delays = time.monotonic(), _run_delays_s()
                since = time.time()
                watched = Watched(self.stage, seen, held, hurt)
                yield watched
                ended = time.monotonic()
                right = until_right(self.stage, seen, beside)
                lasted_s = time.monotonic() - began
                waited = _waited(delays, _run_delays_s(), lasted_s)
        lost = [address for address in addresses if held[address] in hurt]
        result.measured = {
            "lasted_s": round(ended - began, 1),
            "waited": waited,
            "wire_right_s": right.wire_s,
            "right_s": right.all_s,
            **_of_connections(connections, lost),
            **self._of_wire(seen.seen, lost),
        }
        result.broken += strangers_and_doubles(
            self.stage, {**seen.seen, **beside.seen}, strangers, most_s=self.row.doubled_s
        )
        if failed := result.measured["failed_elsewhere"]:
            result.broken.append(f"{failed} connections failed to addresses whose nodes were well")
        started_s = 0.0
        if self.row.starts:
            started_s = self._started_s(since)
            result.measured["started_s"] = started_s
        result.broken += silences(self.row, seen.seen, lost, started_s=started_s)
        for claim in watched.claims:
            result.broken += claim.broken(seen.seen, self.stage.machine_of)
        if right.wrong:
            result.broken.append(right.wrong)
        excuse(self.row, seen.seen, result)

    def _started_s(self, since: float) -> float:
        """Return how long after a fault's begin a speaker had started that stayed up."""
        started = programs.first_started(self.stage.lab.directory / "logs", since)
        if started is None:
            raise AssertionError("no speaker has started since the fault began")
        return round(started - since, 2)

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


@contextlib.contextmanager
def recorded(row: matrix.Row, metacontroller: str) -> Iterator[Result]:
    """Write what comes of a row, whatever ends it; raises AssertionError when it is broken."""
    row.path.unlink(missing_ok=True)
    result = Result()
    try:
        yield result
    except BaseException as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        result.broken.append(f"it ended early: {why}")
        raise
    finally:
        document = {
            "row": row.slug,
            "fault": row.fault,
            "group": row.group,
            "when": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M"),
            "load": round(os.getloadavg()[0], 1),
            "cores": os.cpu_count(),
            "metacontroller": metacontroller,
            **result.measured,
            "excused": result.excused,
            "broken": result.broken,
        }
        row.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = row.path.with_suffix(".new")
        scratch.write_text(json.dumps(document, indent=1), encoding="utf-8")
        scratch.replace(row.path)
    assert not result.broken, "; ".join(result.broken)


@dataclasses.dataclass(frozen=True, slots=True)
class Right:
    """When the wire was right, and all was, in seconds; or what was still wrong in the end."""

    wire_s: float
    all_s: float
    wrong: str = ""


def until_right(on: stage.Stage, seen: wire.Wire, beside: wire.Wire) -> Right:
    """Wait until desired and observed are one, at several looks in a row.

    `beside` watches the addresses that the standing Service has not.
    """
    began = time.monotonic()
    good, wire_s = 0, math.inf
    while True:
        on_wire, said = on.wrong(seen.now())
        on_wire = on_wire or on.stray(beside.now())
        now_s = time.monotonic() - began
        wire_s = math.inf if on_wire else min(wire_s, now_s)
        good = 0 if on_wire or said else good + 1
        if good == ENOUGH:
            return Right(round(wire_s, 1), round(now_s, 1))
        if now_s > stage.RIGHT_WITHIN_S:
            wrong = f"not right again after {stage.RIGHT_WITHIN_S:g} s: {on_wire or said}"
            return Right(round(min(wire_s, now_s), 1), round(now_s, 1), wrong)
        time.sleep(LOOK_EVERY_S)


def strangers_and_doubles(
    on: stage.Stage,
    seen: Mapping[str, wire.Seen],
    strangers: frozenset[str] = frozenset(),
    *,
    most_s: float,
) -> Iterator[str]:
    """Return a sentence for each address that somebody answered who may not, or two for too long.

    `strangers` are MACs that may; `most_s` is how long two may answer, all in all.
    """
    for address, one in seen.items():
        if foreign := on.foreign(one.macs - strangers):
            yield f"{address} was answered by {', '.join(foreign)}, which is no balancer node"
        if one.doubled_s > most_s:
            yield (
                f"{address} was answered by two nodes for {one.doubled_s} s in all, "
                f"{most_s:g} s at most"
            )


def excuse(row: matrix.Row, seen: Mapping[str, wire.Seen], result: Result) -> None:
    """Say of what the lab may have done, and not the fault, that it broke nothing."""
    measured = result.measured
    if excused := measured["failed_with_control"]:
        result.excused.append(
            f"{excused} connections to other addresses failed while some to a node port did too"
        )
    moves = sum(max(0, len(one.holders()) - 1) for one in seen.values())
    if row.calm and moves:
        sentence = f"{moves} changes of holder"
        if measured["waited"] > STARVED:
            waited = f"a speaker waited for a processor {measured['waited']:.0%} of the time"
            result.excused.append(f"{sentence}, while {waited}")
        else:
            result.broken.append(sentence)


def silences(
    row: matrix.Row,
    seen: Mapping[str, wire.Seen],
    lost: Collection[str],
    *,
    started_s: float = 0.0,
) -> Iterator[str]:
    """Return a sentence for each address for which nobody answered for longer than the row says.

    `started_s` is how long it took until a speaker was there again, where the row has none.
    """
    for address, one in seen.items():
        most_s = started_s + (row.silent_s if address in lost else row.silent_elsewhere_s)
        if one.silent_s > most_s:
            yield f"nobody answered for {address} for {one.silent_s} s, {most_s:g} s at most"


def _of_connections(connections: Sequence[Json], lost: Iterable[str]) -> Json:
    """Return how new connections fared at the addresses that may be lost, and at the others.

    The last result is the control's, whose connections use none of our addresses. What failed at
    the others while the control failed too is the lab's loss, and not counted as theirs.
    """
    *results, control = connections
    bad_times = [failure["at"] for failure in control["failures"]]
    struck = set(lost)
    here: list[Json] = []
    elsewhere: list[Json] = []
    for result in results:
        (here if result["address"] in struck else elsewhere).append(result)
    failures = [failure for result in elsewhere for failure in result["failures"]]
    theirs = [
        failure
        for failure in failures
        if not any(abs(failure["at"] - at) < CONTROL_WITHIN_S for at in bad_times)
    ]
    return {
        "gap_s": max((r["longest_gap_s"] for r in here), default=None),
        "failed": sum(r["failed"] for r in here),
        "served": sum(r["served"] for r in results),
        "failed_elsewhere": len(theirs),
        "failed_with_control": len(failures) - len(theirs),
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
