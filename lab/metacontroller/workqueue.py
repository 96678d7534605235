# SPDX-License-Identifier: MIT
"""A queue of object names as controllers use it: no doubles, delays, back-off by failures."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

FIRST_BACKOFF_S = 0.005
LAST_BACKOFF_S = 1000.0


class Timer(Protocol):
    """A call that can be taken back."""

    def cancel(self) -> None:
        """Take it back."""


class Clock(Protocol):
    """What an asyncio event loop knows of time."""

    def time(self) -> float:
        """Return the time in seconds since some moment."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Call back after ``delay`` seconds."""


@dataclass(frozen=True, slots=True)
class _Delayed:
    due: float
    timer: Timer


def backoff_s(failures: int) -> float:
    """Return how long to wait after that many failures in a row, the first being 0."""
    return min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures, 64))


class WorkQueue:
    """Keys to be synced, each by one worker at a time.

    A key added while it waits is there once; added while a worker has it, it
    comes again once that worker is done. So the queue holds no more keys than
    there are objects.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[str] = deque()
        self._dirty: set[str] = set()
        self._taken: set[str] = set()
        self._delayed: dict[str, _Delayed] = {}
        self._failures: dict[str, int] = {}
        self._wanted = asyncio.Event()

    def add(self, key: str) -> None:
        """Ask for a sync now."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._taken:
            self._ready.append(key)
            self._wanted.set()

    def add_after(self, key: str, delay_s: float) -> None:
        """Ask for a sync later; of several times asked for, the earliest counts."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock.time() + delay_s
        waiting = self._delayed.get(key)
        if waiting is not None:
            if waiting.due <= due:
                return
            waiting.timer.cancel()
        self._delayed[key] = _Delayed(due, self._clock.call_later(delay_s, lambda: self._due(key)))

    def add_after_failure(self, key: str) -> None:
        """Ask for a sync after a wait that doubles with each failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, backoff_s(failures))

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def take(self) -> str:
        """Wait for a key; give it back with :meth:`done`."""
        while not self._ready:
            self._wanted.clear()
            await self._wanted.wait()
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._taken.add(key)
        return key

    def done(self, key: str) -> None:
        """End the work on a key."""
        self._taken.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wanted.set()

    def close(self) -> None:
        """Drop all delayed keys."""
        for delayed in self._delayed.values():
            delayed.timer.cancel()
        self._delayed.clear()

    def _due(self, key: str) -> None:
        del self._delayed[key]
        self.add(key)
