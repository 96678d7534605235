# SPDX-License-Identifier: MIT
import asyncio
import os
import select
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab.agent import process


def play(tmp_path: Path, script: str, story: Callable[[process.Process], Awaitable[None]]) -> bytes:
    async def run() -> None:
        log = tmp_path / "log"
        started = process.Process(["sh", "-c", script], environment=dict(os.environ), log=log)
        try:
            await story(started)
        finally:
            started.kill()
            await started.wait()

    asyncio.run(asyncio.wait_for(run(), 10))
    return (tmp_path / "log").read_bytes()


def ends(number: int) -> bool:
    """Wait for a process that is not our child; return whether it ended."""
    try:
        descriptor = os.pidfd_open(number)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([descriptor], [], [], 5)
    os.close(descriptor)
    return bool(readable)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_its_end_is_told_as_a_shell_would(tmp_path: Path, script: str, code: int) -> None:
    async def story(running: process.Process) -> None:
        assert await running.wait() == code
        assert not running.running

    play(tmp_path, script, story)


def test_what_it_says_is_in_its_log_together_with_what_was_said_before(tmp_path: Path) -> None:
    async def story(running: process.Process) -> None:
        await running.wait()

    play(tmp_path, "echo first", story)
    assert play(tmp_path, "echo second >&2", story) == b"first\nsecond\n"


def test_sigterm_asks_only_the_program_itself(tmp_path: Path) -> None:
    async def story(running: process.Process) -> None:
        while b"ready" not in (tmp_path / "log").read_bytes():
            await asyncio.to_thread(os.sched_yield)
        running.terminate()
        assert await running.wait() == 5

    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    play(tmp_path, script, story)


def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    async def story(running: process.Process) -> None:
        await running.wait()

    left = int(play(tmp_path, "sleep 1000 & echo $!", story))
    assert ends(left)


def test_a_program_that_does_not_exist_is_an_error_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        process.Process(["nosuch"], environment={}, log=tmp_path / "log")

    with pytest.raises(FileNotFoundError, match="nosuch"):
        asyncio.run(run())
