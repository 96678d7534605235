# SPDX-License-Identifier: MIT
import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lab import errors, network, sandbox

ACTIONS = ("stop", "start", "kill", "pause", "continue")
GRACE_S = 15.0  # a speaker may take 10 s to hand its addresses over
TAIL_LINES = 15
TAIL_BYTES = 16_384


class Program(Protocol):
    """What a user of the lab can stop, start and hold alone."""

    async def start(self) -> None:
        """Start it; raise LabError when it runs."""

    async def stop(self) -> None:
        """Ask it to end, and insist after some seconds."""

    async def kill(self) -> None:
        """End it at once."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""


async def perform(name: str, program: Program, action: str) -> str:
    """Do what a user of the lab asks for; return a sentence of what was done."""
    match action:
        case "start":
            await program.start()
            return f"{name} runs"
        case "stop":
            await program.stop()
            return f"{name} has ended"
        case "kill":
            await program.kill()
            return f"{name} was killed"
        case "pause":
            program.send(signal.SIGSTOP)
            return f"{name} stands still"
        case "continue":
            program.send(signal.SIGCONT)
            return f"{name} goes on"
    raise errors.LabError(
        f"a process can stop, start, kill, pause and continue, but not {action!r}"
    )


class Process:
    """One program that is meant to run until it is told to stop.

    Its output goes to ``<name>.log`` in ``logs``, that of all its starts. When it
    ends on its own, ``on_death`` is called with a sentence that holds the end
    of that log.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        logs: Path,
        on_death: Callable[[str], None],
        netns: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._argv = network.inside(netns, argv)
        self._log = logs / f"{name}.log"
        self._on_death = on_death
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._expected = False

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C does not reach it."""
        if self.running:
            raise errors.LabError(f"{self.name} runs already")
        self._expected = False
        with self._log.open("wb" if self._process is None else "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=sandbox.CHECKOUT,
                start_new_session=True,
            )
        self._watch = asyncio.create_task(self._await_end(self._process), name=self.name)

    async def stop(self, *, grace_s: float = GRACE_S) -> None:
        """Ask it to end, and insist after ``grace_s``; nothing to do when it is not running."""
        self._expected = True
        self.send(signal.SIGTERM)
        if self._watch is not None:
            await asyncio.wait([self._watch], timeout=grace_s)
        await self.kill()

    async def kill(self) -> None:
        """End it at once, with all its children."""
        self._expected = True
        self.send(signal.SIGKILL)
        if self._watch is not None:
            await self._watch

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        if self.running and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _await_end(self, process: asyncio.subprocess.Process) -> None:
        status = sandbox.shell_status(await process.wait())
        if not self._expected:
            self._on_death(
                f"{self.name} ended with status {status}; the end of its log:\n{tail(self._log)}"
            )


def tail(log: Path) -> str:
    """Return the last lines of a log, indented."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  (it is empty)"
