# SPDX-License-Identifier: MIT
"""One program that the agent runs, and the surety that it ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SIGNALLED = 128  # what a shell adds to the number of the signal that ended a program


class Process:
    """A program in a process group of its own, its output appended to a log.

    Raises :class:`OSError` when the program can not be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self.pid = self._popen.pid
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        # Not asyncio's own subprocess: before Python 3.12 that is a thread for each.
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # What the program left behind in its group ends with it, as a container's rest does.
        # Before the wait, for until then the group's number can not mean another group.
        self._signal_group(signal.SIGKILL)
        status = self._popen.wait()
        if not self._ended.done():
            self._ended.set_result(status if status >= 0 else SIGNALLED - status)

    async def wait(self) -> int:
        """Wait for its end; return its exit status, 128 + n for signal n."""
        return await asyncio.shield(self._ended)

    @property
    def running(self) -> bool:
        """Whether it has not been seen to end."""
        return self._popen.returncode is None

    def terminate(self) -> None:
        """Ask the program itself to end, as a container runtime does."""
        if self.running:
            self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and what it started."""
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and what it started."""
        if self.running:
            self._signal_group(number)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
