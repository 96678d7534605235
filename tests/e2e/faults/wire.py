# SPDX-License-Identifier: MIT
"""Who answers for addresses at the client's port, now and over time."""

import contextlib
import dataclasses
import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from lab import client, errors, inside, network
from speaker.protocol import const
from tests.e2e.faults import witness

Json = dict[str, Any]
USUAL_WITHIN_S = 2 * const.STARVED_FOR_S


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """Questions in a row that the same MACs answered; times in seconds since the epoch."""

    first: float
    last: float
    count: int
    macs: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """All runs of one address, in order."""

    runs: tuple[Run, ...]
    every_s: float

    @property
    def macs(self) -> frozenset[str]:
        """Everybody who ever answered."""
        return frozenset().union(*(run.macs for run in self.runs))

    def between(self, first: float, last: float) -> frozenset[str]:
        """Return everybody who answered a question of this time, in seconds since the epoch."""
        runs = (run for run in self.runs if run.first <= last and run.last >= first)
        return frozenset().union(*(run.macs for run in runs))

    @property
    def doubled_s(self) -> float:
        """The time of all questions that had more than one answer, in a row or not."""
        return round(sum(self._lasted_s(run) for run in self.runs if len(run.macs) > 1), 3)

    @property
    def silent_s(self) -> float:
        """The longest time in which no question had an answer."""
        longest = lasting = 0.0
        for run in self.runs:
            lasting = 0.0 if run.macs else lasting + self._lasted_s(run)
            longest = max(longest, lasting)
        return round(longest, 3)

    def _lasted_s(self, run: Run) -> float:
        return run.last - run.first + self.every_s

    def holders(self) -> tuple[frozenset[str], ...]:
        """Return who answered one after another, without the instants in which two did or none."""
        alone = (run.macs for run in self.runs if len(run.macs) == 1)
        return tuple(macs for macs, _ in itertools.groupby(alone))


class Wire:
    """A witness at work."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._changed = threading.Condition()
        self._now: Mapping[str, frozenset[str]] = {}
        self._interval_s = 0.0
        self._seen: Mapping[str, Seen] = {}

    def now(self) -> Mapping[str, frozenset[str]]:
        """Return which MACs answered for each address in the last instants."""
        with self._changed:
            return self._now

    def until(
        self, met: Callable[[Mapping[str, frozenset[str]]], bool], what: str, within_s: float = 30.0
    ) -> None:
        """Wait until what is told next fulfils a condition; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: met(self._now), within_s):
                raise TimeoutError(
                    f"within {within_s:g} s it was not seen on the wire that {what}; now: "
                    f"{ {address: sorted(macs) for address, macs in self._now.items()} }"
                )

    def until_usual(self, within_s: float = USUAL_WITHIN_S) -> None:
        """Wait until no speaker beats more rarely than usual; raises TimeoutError.

        One that was starved lately does, and dies later: the machine's doing, and not a fault's.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._interval_s <= const.INTERVAL_S, within_s):
                raise TimeoutError(
                    f"for {within_s:g} s a speaker beat each {self._interval_s:g} s, as one does "
                    "that is starved of its processor again and again"
                )

    @property
    def seen(self) -> Mapping[str, Seen]:
        """All that was seen of each address, once the witness has ended."""
        return self._seen

    def read(self, output: IO[str]) -> None:
        """Take in what a witness prints, to its end."""
        for line in output:
            document = json.loads(line)
            with self._changed:
                if "now" in document:
                    self._now = {a: frozenset(macs) for a, macs in document["now"].items()}
                    self._interval_s = document["beats_ms"] / 1000
                else:
                    self._seen = {a: self._of(runs) for a, runs in document["seen"].items()}
                self._changed.notify_all()

    def _of(self, runs: Sequence[tuple[float, float, int, Sequence[str]]]) -> Seen:
        told = (Run(first, last, count, frozenset(macs)) for first, last, count, macs in runs)
        return Seen(tuple(told), self._every_s)


@contextlib.contextmanager
def watched(addresses: Sequence[str], *, every_s: float = witness.EVERY_S) -> Iterator[Wire]:
    """Ask for the addresses at the client's port while the context is open."""
    argv = [sys.executable, "-I", witness.__file__, "--every", str(every_s), *addresses]
    wire = Wire(every_s)
    with subprocess.Popen(
        network.inside(client.NAME, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        reading = threading.Thread(target=wire.read, args=(process.stdout,), daemon=True)
        reading.start()
        try:
            wire.until(bool, "the witness runs")
            yield wire
            process.stdin.close()
            reading.join(inside.COMMAND_WITHIN_S)
        finally:
            process.kill()
    if not wire.seen:
        raise errors.LabError("the witness ended without a result: its message stands above")
