# SPDX-License-Identifier: MIT
"""What the protocol core costs: a frame received, a tick, and an idle group's share of a core.

A group of speakers runs in virtual time over a perfect segment; only the calls into one speaker's
core are timed. Sockets and event loop are not in these numbers.
"""

import argparse
import collections
import ipaddress
import itertools
import pathlib
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

from bench.common import table
from speaker.protocol import core, events

INTERFACE: Final = "eth0"
WARM_UP_S: Final = 5.0  # virtual: past the cold start
ROUNDS: Final = 5
STEP_S: Final = 0.001


class Group:
    """`size` speakers on one segment that hold `addresses` addresses among them."""

    def __init__(self, size: int, addresses: int) -> None:
        self.now = 0.0
        names = [f"node-{number:03}" for number in range(size)]
        children = tuple(
            events.Listed(
                address=ipaddress.IPv4Address("192.0.2.0") + number,
                nodes=tuple(itertools.islice(itertools.cycle(names), number, number + size))[:16],
                list_version=1,
                created=1_700_000_000,
                failback_delay_s=30.0,
                interfaces=(INTERFACE,),
                announced=True,
            )
            for number in range(addresses)
        )
        self.cores = [
            core.Core(events.Config("bench", name, number.to_bytes(8), (bytes(range(32)),)))
            for number, name in enumerate(names)
        ]
        self._inboxes: list[collections.deque[bytes]] = [collections.deque() for _ in names]
        self.received_s: list[float] = []
        self.ticked_s: list[float] = []
        self.held = 0
        for number in range(size):
            interface = events.Interface(INTERFACE, number.to_bytes(6), carrier=True)
            self._tell(number, events.InterfacesChanged((interface,)))
            self._tell(number, events.ChildrenChanged(children, complete=True))

    def run(self, seconds: float) -> None:
        """Let virtual time pass; a beat due within a step is sent at its end."""
        until = self.now + seconds
        while self.now < until:
            self.now += STEP_S
            for number, inbox in enumerate(self._inboxes):
                while inbox:
                    self._tell(number, events.HeartbeatReceived(INTERFACE, inbox.popleft()))
                # Spread, as in life: not everybody beats in the same millisecond.
                if self.now >= self.cores[number].next_deadline + number % 50 * STEP_S * (
                    self.now < 1
                ):
                    self._tell(number, events.Tick())

    def _tell(self, number: int, event: events.Event) -> None:
        started = time.perf_counter()
        actions = self.cores[number].handle(event, self.now)
        took = time.perf_counter() - started
        if number == 0:
            times = self.received_s if type(event) is events.HeartbeatReceived else self.ticked_s
            times.append(took)
        for action in actions:
            if isinstance(action, events.SendHeartbeat):
                for other, inbox in enumerate(self._inboxes):
                    if other != number:
                        inbox.append(action.payload)
            elif isinstance(action, events.Take):
                self.held += 1


def measure(size: int, addresses: int, seconds: float) -> dict[str, Any]:
    """Time one group at rest; all numbers are of one speaker."""
    group = Group(size, addresses)
    group.run(WARM_UP_S)
    if group.held != addresses:
        raise RuntimeError(f"{group.held} of {addresses} addresses were taken after {WARM_UP_S} s")
    rounds = []
    for _ in range(ROUNDS):
        group.received_s.clear()
        group.ticked_s.clear()
        group.run(seconds)
        rounds.append((list(group.received_s), list(group.ticked_s)))
    return {
        "speakers": size,
        "addresses": addresses,
        "frames_per_second": round(len(rounds[0][0]) / seconds),
        "received_us": _us(statistics.median(t for received, _ in rounds for t in received)),
        "received_mean_us": _us(min(statistics.fmean(received) for received, _ in rounds)),
        "tick_us": _us(statistics.median(t for _, ticked in rounds for t in ticked)),
        "share_of_a_core_percent": round(
            min(sum(received) + sum(ticked) for received, ticked in rounds) / seconds * 100, 3
        ),
    }


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench from the command line."""
    parser = argparse.ArgumentParser(prog="bench protocol", description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers here")
    parser.add_argument("--seconds", type=float, default=5.0, help="virtual seconds a round")
    options = parser.parse_args(arguments)
    rows = [
        measure(size, addresses, options.seconds)
        for size, addresses in ((2, 2), (5, 100), (50, 100))
    ]
    print(f"{'speakers':>8} {'addresses':>9} {'frames/s':>8} {'us/frame':>8} {'us/tick':>8}  core")
    for row in rows:
        print(
            f"{row['speakers']:>8} {row['addresses']:>9} {row['frames_per_second']:>8}"
            f" {row['received_us']:>8} {row['tick_us']:>8}  {row['share_of_a_core_percent']} %"
        )
    if options.json is not None:
        table.write(options.json, "protocol", __doc__, rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
