# SPDX-License-Identifier: MIT
"""The machine that the numbers come from, and what a process uses of it."""

import dataclasses
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

_KIB = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """The machine's own clocks at one time, in seconds of one core since it started."""

    busy_s: float
    total_s: float

    @classmethod
    def now(cls) -> Self:
        """Read them; see proc(5), /proc/stat."""
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
        user, nice, system, idle, wait, *others = (
            int(field) / os.sysconf("SC_CLK_TCK") for field in first.split()[1:9]
        )
        busy = user + nice + system + sum(others)
        return cls(busy, busy + idle + wait)

    def busy_percent_since(self, earlier: "Moment") -> float:
        """Return how much of all cores was in use, by whomever."""
        passed = self.total_s - earlier.total_s
        return round((self.busy_s - earlier.busy_s) / passed * 100, 1) if passed else 0.0


def describe() -> dict[str, Any]:
    """Return what a reader needs in order to compare."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "processor": models[0] if models else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def cpu_s(process_ids: Iterable[int]) -> float:
    """Return the seconds that processes, with all their threads, have run on a core so far.

    From /proc/PID/task/TID/schedstat, which counts nanoseconds where `stat` counts ticks of
    10 ms. A thread that ended takes its time with it: the caller measures what lives on.
    """
    total_ns = 0
    for process in process_ids:
        for thread in Path(f"/proc/{process}/task").iterdir():
            total_ns += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total_ns / 1e9


def resident_mb(process_ids: Iterable[int]) -> float:
    """Return the resident memory of processes together, in MB as `ps` counts it (2^20 bytes)."""
    total_kib = 0
    for process in process_ids:
        for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                total_kib += int(line.split()[1])
    return total_kib / _KIB
