# SPDX-License-Identifier: MIT
"""A wall clock that is set while a process runs, as `date --set` and a first answer by NTP do.

Namespaces shift the monotonic clocks alone, which nobody sets. So what Python reads the wall clock
by is replaced in the process, and looks into a file each time. OpenSSL's own reading, for whether
a certificate is valid, stays as it is.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PRELUDE = """
import datetime, pathlib, time

def ahead_s(file=pathlib.Path({file!r})):
    return int(file.read_text())

class Set(datetime.datetime):
    @classmethod
    def now(cls, tz=None, real=datetime.datetime):
        return real.now(tz) + datetime.timedelta(seconds=ahead_s())

datetime.datetime = Set
time.time = lambda real=time.time: real() + ahead_s()
time.time_ns = lambda real=time.time_ns: real() + ahead_s() * 10**9
"""


class Clock:
    """The wall clock of one process, which runs `prelude` before anything else."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.prelude = _PRELUDE.format(file=str(file))
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let the process be so far ahead of the true time from now on."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(str(ahead_s), encoding="ascii")
        scratch.replace(self._file)


@contextlib.contextmanager
def settable() -> Iterator[Clock]:
    """Have a clock for a process, true at first."""
    with tempfile.TemporaryDirectory() as folder:
        yield Clock(Path(folder) / "ahead")
