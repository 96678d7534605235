# SPDX-License-Identifier: MIT
"""Structured logs: one line an event, JSON for machines or coloured text for people."""

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import structlog

Logger = Any
"""structlog's bound logger, whose methods are made at run time."""

WAITING_MAX: Final = 1024  # lines
LAST_LINES_WITHIN_S: Final = 1.0
STANDARD_ERROR: Final = 2


class Lines:
    """Writes lines to a file descriptor; while entered, nobody ever waits for its reader.

    A container runtime whose disk is full reads no more, and a heartbeat must not wait for it.
    So a thread writes, at most `WAITING_MAX` lines wait for it, and those beyond are counted;
    `lost(count)` is the line that tells of them. Leaving waits a moment for the last ones.
    """

    def __init__(self, lost: Callable[[int], str], descriptor: int = STANDARD_ERROR) -> None:
        self._lost = lost
        self._descriptor = descriptor
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING_MAX)
        self._refused = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        # A daemon: a reader that is stuck for good must not keep the process.
        self._thread = threading.Thread(target=self._write_waiting, name="log", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                self._waiting.put(None, timeout=LAST_LINES_WITHIN_S)
            except queue.Full:
                return
            thread.join(LAST_LINES_WITHIN_S)

    def msg(self, line: str) -> None:
        """Write a line, or let it wait to be written."""
        if self._thread is None:
            self._write(line)
            return
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._refused += 1

    # What structlog calls, by level.
    debug = info = warning = error = critical = msg

    def _write_waiting(self) -> None:
        told = 0
        while (line := self._waiting.get()) is not None:
            self._write(line)
            if (refused := self._refused) > told:
                self._write(self._lost(refused - told))
                told = refused

    def _write(self, line: str) -> None:
        rest = memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            return  # nobody is there to be told


def configure(log_format: str, level: str) -> tuple[Logger, Lines]:
    """Send log lines to standard error; return the logger and what writes for it.

    Enter the latter once the process has the privileges that it will run with.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )

    def lost(count: int) -> str:
        said: str = renderer(None, "", {"event": "log lines lost", "level": "warning", "n": count})
        return said

    lines = Lines(lost)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=lambda *_: lines,
    )
    return structlog.get_logger().bind(), lines
