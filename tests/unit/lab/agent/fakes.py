# SPDX-License-Identifier: MIT
import asyncio
import heapq
import itertools
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.agent import clock, spec

Json = dict[str, Any]

START = datetime(2026, 1, 1, tzinfo=UTC)
TURNS = 50  # of the event loop, enough for any chain of wake-ups in these tests


async def settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


class Clock(clock.Clock):
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        end = self.elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.elapsed = due
                woken.set_result(None)
                await settle()
        self.elapsed = end


class Process:
    """A program that ends when told to; ``deaf`` to SIGTERM if so made."""

    _pids = itertools.count(1000)

    def __init__(self, *, deaf: bool = False) -> None:
        self.pid = next(self._pids)
        self.signals: list[str] = []
        self.deaf = deaf
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    def end(self, code: int) -> None:
        if self.running:
            self._ended.set_result(code)

    def terminate(self) -> None:
        self.signals.append("TERM")
        if not self.deaf:
            self.end(0)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        if self.running:
            self.signals.append(number.name.removeprefix("SIG"))
            if number is signal.SIGKILL or not (self.deaf or number is signal.SIGSTOP):
                self.end(128 + number)


@dataclass
class Prober:
    """Answers each action with what ``answers`` says for its kind; well by default."""

    answers: dict[str, Callable[[], str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    wait_for: asyncio.Event | None = None

    async def ask(self, action: spec.Action, _: float) -> str:
        self.asked.append(action.kind)
        if self.wait_for is not None:
            await self.wait_for.wait()
        return self.answers.get(action.kind, lambda: "")()


def pod(**changes: Any) -> Json:
    """Return a Pod as the API has it; what is given goes into its spec."""
    return {
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "uid": "u-1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web"},
            "annotations": {"note": 'a "quoted" word'},
            "resourceVersion": "1",
        },
        "spec": {"containers": [{"name": "main", "image": "example/ours:1"}], **changes},
        "status": {"phase": "Pending"},
    }
