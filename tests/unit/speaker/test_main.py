# SPDX-License-Identifier: MIT
"""What `python -m speaker` does around a speaker."""

import contextlib
from collections.abc import Iterator

import pytest
import structlog

from speaker import __main__ as program
from speaker import errors, log, privileges


@pytest.mark.parametrize(
    ("failure", "last", "code"),
    [
        (None, "left", 0),
        (errors.SpeakerError("no heartbeat keys"), "ended", 1),
        (ZeroDivisionError("a mistake in our own code"), "ended", 1),
    ],
)
def test_the_last_line_is_written_while_nobody_waits_for_its_reader(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None, last: str, code: int
) -> None:
    happened: list[str] = []

    @contextlib.contextmanager
    def lines() -> Iterator[None]:
        happened.append("lines entered")
        yield
        happened.append("lines left")

    def line(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        happened.append(event["event"])
        raise structlog.DropEvent

    async def speak(*_: object) -> None:
        if failure is not None:
            raise failure

    logger = structlog.wrap_logger(None, processors=[line])
    monkeypatch.setattr(log, "configure", lambda *_: (logger, lines()))
    monkeypatch.setattr(privileges, "keep_only_net_raw", lambda: happened.append("privileges"))
    monkeypatch.setattr(program, "_run", speak)
    monkeypatch.setattr("sys.argv", ["speaker", "--node-name", "n1"])
    assert program.main() == code
    assert happened == ["privileges", "lines entered", last, "lines left"]
