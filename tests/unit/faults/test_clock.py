# SPDX-License-Identifier: MIT
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.faults import clock

READS = """
import datetime, sys, time
for _ in sys.stdin:
    now = datetime.datetime.now(datetime.UTC).timestamp()
    print(now, time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)
"""
HOUR_S = 3600


def test_a_clock_that_is_set_is_read_by_a_process_that_runs(tmp_path: Path) -> None:
    made = clock.Clock(tmp_path / "ahead")
    argv = [sys.executable, "-c", made.prelude + READS]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin
        assert process.stdout
        for ahead_s in (0, HOUR_S, -HOUR_S):
            made.set(ahead_s)
            process.stdin.write("\n")
            *wall, monotonic = map(float, process.stdout.readline().split())
            assert wall == pytest.approx([time.time() + ahead_s] * 3, abs=60)
            assert monotonic == pytest.approx(time.monotonic(), abs=60)
        process.stdin.close()
