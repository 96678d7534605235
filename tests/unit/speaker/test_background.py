# SPDX-License-Identifier: MIT
import asyncio
import pathlib
from typing import Any

import pytest
import structlog

from speaker import background, settings
from speaker.protocol import const, events


def test_keys_that_can_not_be_used_leave_those_before_in_force(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(number: int) -> pathlib.Path:
        path = tmp_path / f"key-{number}"
        path.write_text(f"a long key, number {number}", "ascii")
        return path

    rounds = iter(
        [
            lambda: [write(number) for number in range(1, const.KEYS_MAX + 1)],
            lambda: None,
            lambda: write(0).unlink(),
        ]
    )

    async def wait(_: float) -> None:
        """Change the Secret instead of waiting."""
        act = next(rounds, None)
        if act is None:
            raise asyncio.CancelledError
        act()

    monkeypatch.setattr(asyncio, "sleep", wait)
    write(0)
    told: list[events.KeysChanged] = []
    lines: list[Any] = []

    def line(_: object, __: str, event: Any) -> Any:
        lines.append(event)
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[line])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(
            background.follow_keys(tmp_path, settings.read_keys(tmp_path), told.append, logger)
        )
    assert told == [events.KeysChanged(settings.read_keys(tmp_path))]
    assert len(told[0].keys) == const.KEYS_MAX
    assert [each["then"] for each in lines if "then" in each] == ["goes on with the keys it has"]
