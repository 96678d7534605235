# SPDX-License-Identifier: MIT
import io
import time

import pytest

from lab import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_lines_tell_the_seconds_since_the_start(clock: list[float]) -> None:
    stream = io.StringIO()
    told = progress.Progress(stream)
    clock[0] += 3.21
    told.say("the API server is ready")
    assert stream.getvalue() == "lab:   3.2 s  the API server is ready\n"


def test_a_log_gets_an_update_only_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    told = progress.Progress(stream, quiet_s=15)
    for second in range(40):
        clock[0] = 100.0 + second
        told.update(f"at {second}")
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["0", "15", "30"]


def test_a_terminal_gets_every_update_on_one_line(clock: list[float]) -> None:
    stream = Terminal()
    told = progress.Progress(stream)
    told.update("one")
    told.update("two")
    told.say("done")
    told.say("more")
    assert stream.getvalue().count("\n") == 2
    assert stream.getvalue().count("\r\033[K") == 3
