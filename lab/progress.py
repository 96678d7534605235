# SPDX-License-Identifier: MIT
import sys
import time
from typing import TextIO


class Progress:
    """Tells on a stream what has been reached, and after how many seconds.

    On a terminal, :meth:`update` rewrites one line; elsewhere it writes a line
    at most every ``quiet_s`` seconds, so that a log stays short.
    """

    def __init__(self, stream: TextIO = sys.stderr, *, quiet_s: float = 15.0) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._quiet_s = quiet_s
        self._updated = -quiet_s
        self._open = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since this progress began."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Write one line that stays."""
        self._write("\r\033[K" if self._open else "", text, "\n")
        self._open = False

    def update(self, text: str) -> None:
        """Write what is under way; the next call may replace it."""
        if self._stream.isatty():
            self._write("\r\033[K", text, "")
            self._open = True
        elif self.elapsed_s - self._updated >= self._quiet_s:
            self._updated = self.elapsed_s
            self._write("", text, "\n")

    def _write(self, before: str, text: str, after: str) -> None:
        self._stream.write(f"{before}lab: {self.elapsed_s:5.1f} s  {text}{after}")
        self._stream.flush()
