# SPDX-License-Identifier: MIT
import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab import control, errors


def served(directory: Path, perform: Callable[[list[str]], Awaitable[str]], *words: str) -> str:
    async def body() -> str:
        async with asyncio.timeout(30), await control.serve(directory, perform):
            return await asyncio.to_thread(control.ask, *words)

    return asyncio.run(body())


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DIR", str(tmp_path))
    return tmp_path


def test_what_is_asked_is_performed_and_its_sentence_comes_back(directory: Path) -> None:
    async def perform(words: list[str]) -> str:
        return " and ".join(words)

    assert served(directory, perform, "node", "kill", "ünïcode\nname") == (
        "node and kill and ünïcode\nname"
    )


def test_an_error_of_the_lab_is_raised_where_it_was_asked(directory: Path) -> None:
    async def perform(words: list[str]) -> str:
        raise errors.LabError("node-9 is off: start it first")

    with pytest.raises(errors.LabError, match=r"^node-9 is off: start it first$"):
        served(directory, perform, "node", "kill", "node-9")


def test_an_unforeseen_error_is_an_answer_too_and_is_logged(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def perform(words: list[str]) -> str:
        raise RuntimeError("surprise")

    with pytest.raises(errors.LabError, match=r"'node add' failed.*surprise"):
        served(directory, perform, "node", "add")
    assert "surprise" in caplog.text


def test_a_client_that_speaks_nonsense_or_leaves_harms_nobody(directory: Path) -> None:
    async def perform(words: list[str]) -> str:
        return "done"

    async def body() -> str:
        async with asyncio.timeout(30), await control.serve(directory, perform):
            for nonsense in (b"", b"{not json\n", b'["half'):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(directory / control.SOCKET))
                    client.sendall(nonsense)
            return await asyncio.to_thread(control.ask, "still", "there")

    assert asyncio.run(body()) == "done"


def test_outside_a_lab_one_is_told_how_to_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_DIR")
    with pytest.raises(errors.LabError, match="python -m lab shell"):
        control.ask("node", "add")


def test_a_lab_that_is_gone_is_said_to_be_silent(directory: Path) -> None:
    with pytest.raises(errors.LabError, match=r"supervisor at .* is silent"):
        control.ask("node", "add")
