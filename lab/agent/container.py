# SPDX-License-Identifier: MIT
"""Keeping one container as its Pod wants it: started, probed, restarted, stopped."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any, Protocol

from lab.agent import clock as clocks
from lab.agent import probes, process, spec, status

FIRST_BACKOFF_S = 10.0
MAX_BACKOFF_S = 300.0
WELL_AFTER_S = 600.0  # a container that ran so long starts with the first back-off again
RETRY_START_S = 2.0
MIN_GRACE_S = 2.0  # what a kubelet leaves the program after a preStop hook used up the grace


class CannotStartError(Exception):
    """A container can not be started now; ``reason`` is the word for its status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Stop:
    """The order to stop a Pod, which may come at any time, and be made more urgent."""

    grace_s: float = 0.0
    requested: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self, grace_s: float) -> None:
        """Ask for an end within so much time; the first request counts."""
        if not self.requested.is_set():
            self.grace_s = grace_s
            self.requested.set()

    def force(self) -> None:
        """Ask for an end now."""
        self.request(0)
        self.at_once.set()


class Runtime(Protocol):
    """What starts programs for a Pod, and asks them."""

    async def launch(self, container: spec.Container) -> process.Process:
        """Start a container; raise :class:`CannotStartError` when it can not be."""

    def prober(self, container: spec.Container, running: process.Process) -> probes.Prober:
        """Return what probes a started container."""


class Keeper:
    """One container of a Pod; ``state`` is what is known of it, told by ``on_change``."""

    def __init__(
        self,
        container: spec.Container,
        pod: spec.Pod,
        *,
        runtime: Runtime,
        clock: clocks.Clock,
        stop: Stop,
        state: status.Container,
        on_change: Callable[[status.Container], None],
        report: Callable[[str, str], None],
        once: bool,
    ) -> None:
        self._container = container
        self._pod = pod
        self._runtime = runtime
        self._clock = clock
        self._stop = stop
        self._on_change = on_change
        self._report = report
        self._once = once
        self._backoff_s = 0.0
        self._running: process.Process | None = None
        self._free = asyncio.Event()
        self._free.set()
        self.state = state

    async def run(self) -> bool:
        """Keep it until it ended for good or the Pod is to stop; return whether it succeeded."""
        while not self._stop.requested.is_set():
            if not self._free.is_set():
                await _first(self._free.wait(), self._stop.requested.wait())
                continue
            try:
                running = await self._runtime.launch(self._container)
            except CannotStartError as error:
                if isinstance(self.state.state, status.Waiting):
                    self._become(status.Waiting(error.reason, str(error)))
                self._report(error.reason, str(error))
                await self._pause(RETRY_START_S)
                continue
            started = self._clock.monotonic()
            code = await self._attend(running)
            if self._stop.requested.is_set():
                break
            if not self._free.is_set():
                continue
            if self._for_good(code):
                return code == 0
            await self._back_off(self._clock.monotonic() - started)
        return False

    async def hold(self, number: signal.Signals, *, within_s: float = 0.0) -> None:
        """End its program by a signal, and by SIGKILL after so long; start none until released.

        As when somebody on the node does it: nothing of the Pod is asked, and
        nothing but the end is told.
        """
        self._free.clear()
        running = self._running
        if running is not None and running.running:
            running.send(number)
            await _first(running.wait(), self._clock.sleep(within_s))
            running.kill()
            await running.wait()

    def release(self) -> None:
        """Let it be started again, at once."""
        self._free.set()

    @property
    def held(self) -> bool:
        """Whether it waits to be released."""
        return not self._free.is_set()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its program, if that runs."""
        if self._running is not None:
            self._running.send(number)

    def _for_good(self, code: int) -> bool:
        if self._pod.restart_policy == "Never":
            return True
        succeeds = self._once or self._pod.restart_policy == "OnFailure"
        return succeeds and code == 0

    async def _back_off(self, ran_s: float) -> None:
        if ran_s > WELL_AFTER_S:
            self._backoff_s = 0
        if self._backoff_s:
            message = f"it ended again: the next start is in {self._backoff_s:g} s"
            self._become(status.Waiting("CrashLoopBackOff", message))
            self._report("BackOff", message)
            await self._pause(self._backoff_s)
        self._backoff_s = min(MAX_BACKOFF_S, self._backoff_s * 2 or FIRST_BACKOFF_S)

    async def _attend(self, running: process.Process) -> int:
        """See a started container to its end."""
        self._running = running
        since = self._clock.now()
        again = isinstance(self.state.state, status.Terminated) or self.state.last is not None
        self.state = changed(
            self.state, restarts=self.state.restarts + again, process=str(running.pid)
        )
        self._become(status.Running(since))
        prober = self._runtime.prober(self._container, running)
        probing = asyncio.create_task(self._probe(prober))
        message = ""
        try:
            await _first(running.wait(), self._stop.requested.wait(), _settled(probing))
            if running.running and self._stop.requested.is_set():
                await self._end(running, prober, self._stop.grace_s)
            elif running.running:
                message, grace_s = probing.result()
                self._report("Killing", message)
                await self._end(running, prober, grace_s)
        finally:
            probing.cancel()
            running.kill()
        code = await running.wait()
        await _settled(probing)
        if not probing.cancelled():
            probing.result()
        self._become(status.Terminated(code, since, self._clock.now(), message))
        return code

    async def _end(self, running: process.Process, prober: probes.Prober, grace_s: float) -> None:
        """Stop a program: preStop, SIGTERM, the grace, SIGKILL."""
        deadline = self._clock.monotonic() + grace_s
        self.state = changed(self.state, ready=False)
        self._on_change(self.state)
        hook = self._container.pre_stop
        if hook is not None and grace_s > 0:
            asked = asyncio.create_task(prober.ask(hook, grace_s))
            await _first(running.wait(), self._stop.at_once.wait(), _settled(asked))
            if asked.done() and asked.result():
                self._report("FailedPreStopHook", asked.result())
            asked.cancel()
        left_s = deadline - self._clock.monotonic()
        if hook is not None:
            left_s = max(left_s, MIN_GRACE_S)
        running.terminate()
        await _first(running.wait(), self._stop.at_once.wait(), self._clock.sleep(max(left_s, 0)))
        running.kill()

    async def _probe(self, prober: probes.Prober) -> tuple[str, float]:
        """Run the probes, startup first; return only when one demands the end, and its grace."""
        container = self._container
        if container.startup is not None:
            doom = await self._alive(container.startup, prober, until_good=True)
            if doom is not None:
                return doom
        ready = container.readiness is None
        self.state = changed(self.state, started=True, ready=ready)
        self._on_change(self.state)
        if container.readiness is None:
            return await self._doom(prober)
        async with asyncio.TaskGroup() as group:
            readiness = group.create_task(self._readiness(container.readiness, prober))
            doom = await self._doom(prober)
            readiness.cancel()
        return doom

    async def _doom(self, prober: probes.Prober) -> tuple[str, float]:
        """Return when the liveness probe demands the end; without one, never."""
        if self._container.liveness is not None:
            doom = await self._alive(self._container.liveness, prober, until_good=False)
            if doom is not None:
                return doom
        never: asyncio.Future[tuple[str, float]] = asyncio.get_running_loop().create_future()
        return await never

    async def _alive(
        self, probe: spec.Probe, prober: probes.Prober, *, until_good: bool
    ) -> tuple[str, float] | None:
        verdict = probes.Verdict(probe, good=not until_good)
        async with contextlib.aclosing(
            probes.watch(probe, verdict, prober, self._clock)
        ) as verdicts:
            async for complaint in verdicts:
                if complaint:
                    grace_s = self._pod.grace_s if probe.grace_s is None else probe.grace_s
                    kind = "startup" if until_good else "liveness"
                    return f"{kind} probe failed, restarting: {complaint}", grace_s
                if until_good:
                    return None
        raise AssertionError

    async def _readiness(self, probe: spec.Probe, prober: probes.Prober) -> None:
        verdict = probes.Verdict(probe, good=False)
        async with contextlib.aclosing(
            probes.watch(probe, verdict, prober, self._clock)
        ) as verdicts:
            async for complaint in verdicts:
                if complaint:
                    self._report("Unhealthy", f"readiness probe failed: {complaint}")
                if self.state.ready is not verdict.good and not self._stop.requested.is_set():
                    self.state = changed(self.state, ready=verdict.good)
                    self._on_change(self.state)

    def _become(self, state: status.State) -> None:
        self.state = self.state.now(state)
        self._on_change(self.state)

    async def _pause(self, seconds: float) -> None:
        await _first(self._clock.sleep(seconds), self._stop.requested.wait())


async def _first(*awaitables: Awaitable[object]) -> None:
    """Wait until one of several is done, and leave the others."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _settled(task: asyncio.Task[Any]) -> None:
    """Wait for a task without being its owner: leaving it does not cancel it."""
    await asyncio.wait([task])
