# SPDX-License-Identifier: MIT
import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lab import errors, processes

Make = Callable[[str], processes.Process]


def run(
    body: Callable[[Make, "asyncio.Queue[str]"], Coroutine[Any, Any, None]], logs: Path
) -> None:
    async def bounded() -> None:
        deaths: asyncio.Queue[str] = asyncio.Queue()

        def make(script: str) -> processes.Process:
            return processes.Process(
                "worker", ["sh", "-c", script], logs=logs, on_death=deaths.put_nowait
            )

        async with asyncio.timeout(30):
            await body(make, deaths)

    asyncio.run(bounded())


async def until(probe: Callable[[], bool]) -> None:
    while not probe():  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.01)


def ended(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return not stat.exists() or " Z " in stat.read_text()


def test_a_death_is_reported_with_the_status_and_the_end_of_the_log(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        await make("seq 100; exit 7").start()
        sentence = await deaths.get()
        assert sentence.startswith("worker ended with status 7; the end of its log:\n  86\n")
        assert sentence.endswith("\n  100")

    run(body, tmp_path)


def test_a_process_that_is_told_to_end_is_no_death(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        process = make("echo up; exec sleep 1000")
        await process.start()
        await process.stop()
        assert not process.running
        await process.stop()
        assert deaths.empty()

    run(body, tmp_path)


def test_one_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        process = make('trap "" TERM; sleep 1000 & echo child $!; wait; sleep 1000')
        await process.start()
        log = tmp_path / "worker.log"
        await until(lambda: log.read_text().startswith("child"))
        child = int(log.read_text().split()[1])
        await process.stop(grace_s=0.05)
        assert not process.running
        assert deaths.empty()
        await until(lambda: ended(child))

    run(body, tmp_path)


def test_the_log_holds_the_output_of_all_starts_but_not_of_an_earlier_lab(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        (tmp_path / "worker.log").write_text("from an earlier lab\n")
        process = make("echo up; exit 1")
        for _ in range(2):
            await process.start()
            await deaths.get()
        assert (tmp_path / "worker.log").read_text() == "up\nup\n"

    run(body, tmp_path)


def test_starting_what_runs_is_refused(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        process = make("exec sleep 1000")
        await process.start()
        with pytest.raises(errors.LabError, match="worker runs already"):
            await process.start()
        await process.kill()

    run(body, tmp_path)


def test_a_paused_process_can_still_be_killed(tmp_path: Path) -> None:
    async def body(make: Make, deaths: asyncio.Queue[str]) -> None:
        process = make("exec sleep 1000")
        await process.start()
        process.send(signal.SIGSTOP)
        await process.kill()
        assert not process.running

    run(body, tmp_path)


def test_a_long_log_is_shown_by_its_end_only(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"x" * processes.TAIL_BYTES + b"\n\xff last\n")
    shown = processes.tail(log)
    assert len(shown) <= processes.TAIL_BYTES + 10
    assert shown.endswith("\n  � last")
    log.write_text("")
    assert processes.tail(log) == "  (it is empty)"
