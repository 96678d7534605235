# SPDX-License-Identifier: MIT
"""Nobody waits for whoever reads the log."""

import os

import pytest

from speaker import log

LINE = "x" * 99
MANY = 10 * log.WAITING_MAX  # ten times what may wait and far more than a pipe holds


def lost(count: int) -> str:
    return f"{count} lost"


def test_a_reader_that_reads_nothing_stops_nobody_and_is_told_what_it_missed() -> None:
    end, start = os.pipe()
    with os.fdopen(end) as reader, log.Lines(lost, start) as lines:
        for _ in range(MANY):  # would never return if it waited: a pipe holds 64 KiB
            lines.msg(LINE)
        written = missed = 0
        while written + missed < MANY:
            said = reader.readline().strip()
            if said == LINE:
                written += 1
            else:
                missed += int(said.removesuffix(" lost"))
    os.close(start)

    assert written + missed == MANY
    assert missed > 0


def test_lines_keep_their_order_and_the_last_ones_are_written() -> None:
    end, start = os.pipe()
    lines = log.Lines(lost, start)
    lines.msg("before")
    with lines:
        for number in range(100):
            lines.msg(str(number))
    lines.msg("after")
    os.close(start)
    with os.fdopen(end) as reader:
        assert reader.read().split() == ["before", *map(str, range(100)), "after"]


def test_a_reader_that_is_gone_is_no_error() -> None:
    end, start = os.pipe()
    os.close(end)
    with log.Lines(lost, start) as lines:
        lines.msg("to nobody")
    os.close(start)


def test_a_reader_that_never_reads_again_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "LAST_LINES_WITHIN_S", 0.01)
    end, start = os.pipe()
    with log.Lines(lost, start) as lines:
        for _ in range(MANY):
            lines.msg(LINE)
    os.close(end)  # lets the thread go; the other end stays its own
