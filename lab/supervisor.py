# SPDX-License-Identifier: MIT
"""The program inside the sandbox: brings the lab up, runs the command, takes the lab down.

``python -m lab.supervisor PIPE`` is started by :mod:`lab.sandbox` and by
nobody else. Its exit status is the command's, or 1 when the lab failed.
"""

import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from lab import cluster, control, errors, progress, sandbox

COMMAND_ENDS_WITHIN_S = 10.0


class Interruptions:
    """Signals that the outer process received, one a line of its pipe.

    The pipe's end means that the outer process is gone, and with it whoever
    wanted this lab.
    """

    def __init__(self, pipe: io.FileIO) -> None:
        self._pipe = pipe
        self.received: asyncio.Queue[tuple[signal.Signals, bool]] = asyncio.Queue(maxsize=100)

    async def watch(self) -> NoReturn:
        """Queue each signal, and whether the terminal sent it to the command too; never return."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._pipe
        )
        while line := await reader.readline():
            number, by_terminal = line.split()
            await self.received.put((signal.Signals(int(number)), by_terminal == b"1"))
        os._exit(1)  # nobody is left to tell, and nothing outlives this namespace

    async def told_to_end(self) -> signal.Signals:
        """Return the first signal that did not come from the terminal.

        Ctrl-C reaches the command as well, which knows better whether to end.
        """
        while True:
            number, by_terminal = await self.received.get()
            if not by_terminal:
                return number


async def _command(settings: sandbox.Settings, interruptions: Interruptions) -> int:
    """Run the command to its end; return its exit status as a shell would give it.

    A signal is handed on, and the command has some seconds to end.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *settings.command, env=sandbox.environment(settings)
        )
    except OSError as error:
        raise errors.LabError(f"cannot run {settings.command[0]!r}: {error}") from None
    ended = asyncio.create_task(process.wait())
    told = asyncio.create_task(interruptions.told_to_end())
    await _first(ended, told)
    if not ended.done():
        number = told.result()
        process.send_signal(number)
        await asyncio.wait([ended], timeout=COMMAND_ENDS_WITHIN_S)
        if not ended.done():
            return sandbox.shell_status(-number)
    told.cancel()
    return sandbox.shell_status(ended.result())


async def _session(settings: sandbox.Settings, pipe: io.FileIO) -> int:
    told = progress.Progress()
    interruptions = Interruptions(pipe)
    watching = asyncio.create_task(interruptions.watch())
    lab = cluster.Cluster(settings, told)
    starting = asyncio.create_task(lab.start())
    early = asyncio.create_task(interruptions.received.get())
    await _first(starting, early, lab.failure, watching)
    if early.done():
        return sandbox.shell_status(-early.result()[0])
    early.cancel()
    _raise_failure(lab.failure, watching)
    await starting
    async with await control.serve(sandbox.DIRECTORY, lab.perform):
        told.say("the lab is up")
        command = asyncio.create_task(_command(settings, interruptions))
        await _first(command, lab.failure, watching)
        _raise_failure(lab.failure, watching)
        return await command


def _raise_failure(failure: asyncio.Future[str], watching: asyncio.Task[NoReturn]) -> None:
    if failure.done():
        raise errors.LabError(failure.result())
    if watching.done():
        watching.result()


def _log_to_file() -> None:
    """Keep what the agents have to say, which run within this process, in a log of its own."""
    logging.basicConfig(
        filename=sandbox.LOGS / "supervisor.log",
        filemode="w",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _leaves(group: BaseExceptionGroup[errors.LabError]) -> Iterator[errors.LabError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def main(arguments: list[str]) -> int:
    """Run one lab; return the exit status for the outer process."""
    # Unbuffered, so that what follows the first line is left to the event loop.
    pipe = io.FileIO(int(arguments[0]))
    settings = sandbox.Settings.from_json(pipe.readline().decode())
    for number in (signal.SIGINT, signal.SIGHUP):
        # A handler that does nothing, for an ignored signal would stay ignored in the command.
        signal.signal(number, lambda *_: None)
    sandbox.mount()
    if settings.logs is not None:
        sandbox.keep_logs(Path(settings.logs))
    _log_to_file()
    try:
        return asyncio.run(_session(settings, pipe))
    except* errors.LabError as group:
        for error in _leaves(group):
            print(f"lab: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sandbox.become_init()
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)
