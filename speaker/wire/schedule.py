# SPDX-License-Identifier: MIT
"""When each held address is announced: a burst on taking it, then once a minute.

Pure. All announcements of one interface share a token bucket, because switches with ARP
inspection shut a port that sends more than they allow. Every new address is announced once
before any is repeated.
"""

import heapq
from collections.abc import Mapping
from typing import Final

from contract import pool

# Seconds after taking. Repeats pass 1 s because Linux ignores a gratuitous ARP within
# neigh/locktime (1 s) of the last change of an entry.
GARP_TIMES_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 4.0)  # after RFC 5227 §3
REFRESH_S: Final = 60.0
_GOLDEN: Final = 0.618_033_988_749_895  # multiples of it spread evenly over a unit interval


class Bucket:
    """A token bucket: `rate` a second, at most `burst` at once; `now` in monotonic seconds."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.burst = burst
        self._rate = rate
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float, count: int) -> bool:
        """Take this many tokens if they are there."""
        self._fill(now)
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def ready_at(self, now: float, count: int) -> float:
        """Return when this many tokens will be there."""
        self._fill(now)
        return now + max(0.0, count - self._tokens) / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(float(self.burst), self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now


class Schedule:
    """The announcements of one interface.

    `due(now)` returns what to send now, and in how many forms; `next_at(now)` is when to ask
    again, None for never. The first announcement of an address goes out in `first_forms` frames
    (a gratuitous ARP request and a reply: some hosts heed only one of them) if the bucket can hold
    as many, later ones in one.
    """

    def __init__(self, bucket: Bucket, first_forms: Mapping[int, int]) -> None:
        """`first_forms` maps an IP version to a number of frames."""
        self._bucket = bucket
        self._first_forms = first_forms
        self._later: list[tuple[float, int, int, pool.Address]] = []  # due, round, life, address
        self._ready: list[tuple[int, float, int, pool.Address]] = []  # round, due, life, address
        self._lives: dict[pool.Address, int] = {}  # tells a removed entry from a new one
        self._life = 0

    def add(self, address: pool.Address, now: float) -> None:
        """Announce the address from now on; starts over when it is there already."""
        self._life += 1
        self._lives[address] = self._life
        heapq.heappush(self._later, (now + GARP_TIMES_S[0], 0, self._life, address))

    def remove(self, address: pool.Address) -> None:
        """Announce it no longer, not even what was due."""
        self._lives.pop(address, None)

    def due(
        self, now: float, *, quiet: bool = False, repeats: bool = True
    ) -> list[tuple[pool.Address, int]]:
        """Return the addresses to announce now and the number of forms, new ones before repeats.

        `quiet` holds the periodic refresh back (it is skipped, not owed). Without `repeats` only
        what was never announced is, and the rest is left for the next call.
        """
        while self._later and self._later[0][0] <= now:
            due, turn, life, address = heapq.heappop(self._later)
            if self._lives.get(address) != life:
                continue
            if quiet and turn >= len(GARP_TIMES_S):
                self._plan(address, turn, life, now)
            else:
                heapq.heappush(self._ready, (turn, due, life, address))
        sent: list[tuple[pool.Address, int]] = []
        while self._ready:
            turn, _, life, address = self._ready[0]
            if self._lives.get(address) != life:
                heapq.heappop(self._ready)
                continue
            if turn and not repeats:
                break
            forms = self._forms(address, turn)
            if not self._bucket.take(now, forms):
                break
            heapq.heappop(self._ready)
            sent.append((address, forms))
            self._plan(address, turn, life, now)
        return sent

    def next_at(self, now: float) -> float | None:
        """Return when `due` may next have something."""
        if self._ready:
            turn, _, _, address = self._ready[0]
            return self._bucket.ready_at(now, self._forms(address, turn))
        return self._later[0][0] if self._later else None

    def _forms(self, address: pool.Address, turn: int) -> int:
        return min(self._first_forms[address.version], self._bucket.burst) if turn == 0 else 1

    def _plan(self, address: pool.Address, turn: int, life: int, now: float) -> None:
        following = turn + 1
        if following < len(GARP_TIMES_S):
            wait = GARP_TIMES_S[following] - GARP_TIMES_S[turn]
        elif following == len(GARP_TIMES_S):
            # The first refresh falls somewhere in the minute, so that addresses taken together
            # are not refreshed together for ever after.
            wait = REFRESH_S * (0.5 + (int(address) & 0xFFFF) * _GOLDEN % 1.0)
        else:
            wait = REFRESH_S
        heapq.heappush(self._later, (now + wait, following, life, address))
