# SPDX-License-Identifier: MIT
"""Asking the segment whether anybody answers for an address, before it is first used.

Pure. RFC 5227 §2.1.1 wants three probes one to two seconds apart and two more seconds of
waiting; `SHORT` asks as often in 200 ms, which finds a host that is there and awake.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Final

from contract import pool


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """When probes are sent, in seconds after the start, and when silence counts as free.

    A probe that is late is followed by what is left, as far apart as it should be.
    """

    times_s: tuple[float, ...]
    patience_s: float

    def moment_s(self, sent: int) -> float:
        """Return the time of what follows so many probes: another one, or the end."""
        return self.times_s[sent] if sent < len(self.times_s) else self.patience_s


OFF: Final = Pace(times_s=(), patience_s=0.0)
SHORT: Final = Pace(times_s=(0.0, 0.07, 0.14), patience_s=0.2)
STRICT: Final = Pace(times_s=(0.0, 1.5, 3.0), patience_s=5.0)  # RFC 5227 §1.1
PACES: Final = {"off": OFF, "short": SHORT, "strict": STRICT}

RIVALS_MAX: Final = 128  # MACs remembered that probe for the same address; there are fewer speakers


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What asking came to: the MAC that answered, or None, and those that asked for it too."""

    address: pool.Address
    answered_by: bytes | None
    rivals: frozenset[bytes]


@dataclasses.dataclass(slots=True)
class _Probe:
    next_at: float
    sent: int = 0
    answered_by: bytes | None = None
    rivals: set[bytes] = dataclasses.field(default_factory=set)


class Probes:
    """The probes under way on one interface; `now` in monotonic seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._probes: dict[pool.Address, _Probe] = {}

    def start(self, address: pool.Address, now: float) -> None:
        """Begin to ask; one that is under way goes on."""
        self._probes.setdefault(address, _Probe(next_at=now + self._pace.moment_s(0)))

    def answered(self, address: pool.Address, mac: bytes) -> None:
        """Note that somebody answers for the address."""
        probe = self._probes.get(address)
        if probe is not None and probe.answered_by is None:
            probe.answered_by = mac
            probe.next_at = -math.inf

    def contested(self, address: pool.Address, mac: bytes) -> None:
        """Note that somebody else probes for the address at the same time.

        That ends nothing: it may be a speaker that does so in its turn, and two that ended each
        other's probes would never come to an end.
        """
        probe = self._probes.get(address)
        if probe is not None and len(probe.rivals) < RIVALS_MAX:
            probe.rivals.add(mac)

    def due(
        self, now: float, allowed: Callable[[], bool]
    ) -> tuple[list[pool.Address], list[Outcome]]:
        """Return the addresses to ask for now, and what has come to an end.

        `allowed` is asked before each question; the first that it refuses waits, and all behind it.
        """
        ask: list[pool.Address] = []
        ended: list[Outcome] = []
        refused = False
        for address, probe in self._probes.items():
            # Slack for clocks whose deadline arithmetic rounds below the moment itself.
            if now < probe.next_at - 1e-6:
                continue
            if probe.answered_by is not None or probe.sent == len(self._pace.times_s):
                ended.append(Outcome(address, probe.answered_by, frozenset(probe.rivals)))
                continue
            if refused or not allowed():
                refused = True
                continue
            pause_s = self._pace.moment_s(probe.sent + 1) - self._pace.moment_s(probe.sent)
            probe.sent += 1
            probe.next_at = now + pause_s
            ask.append(address)
        for outcome in ended:
            del self._probes[outcome.address]
        return ask, ended

    def next_at(self) -> float | None:
        """Return when `due` next has something; None while nothing is asked."""
        return min((probe.next_at for probe in self._probes.values()), default=None)
