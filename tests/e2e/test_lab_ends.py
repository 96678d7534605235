# SPDX-License-Identifier: MIT
"""Labs of their own, within the lab of the tests, to see how they end."""

import os
import pty
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import inside

KILL_SCHEDULER = "grep -lx kube-scheduler /proc/[0-9]*/comm | cut -d/ -f3 | xargs kill -9"
CONNECT = "import socket, sys; socket.create_connection(sys.argv[1:], timeout=5)"
WAITING = 'trap "exit 42" INT TERM; echo the command runs; while :; do sleep 0.1; done'


@pytest.fixture
def mark() -> str:
    """A value in the environment of every process of the inner lab, to find them by."""
    return f"mark-{uuid.uuid4().hex}"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: ours and the program's."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


def environment(mark: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "LAB_DIR"}, "LAB_TEST_MARK": mark}


def argv(*command: str) -> list[str]:
    return [sys.executable, "-m", "lab", "run", "--no-product", "--nodes", "1", "--", *command]


def left_behind(mark: str) -> list[str]:
    """The command lines of all processes that belong to the inner lab."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended meanwhile
    return found


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 42)]
)
def test_a_lab_that_gets_a_signal_leaves_nothing_behind(
    mark: str, number: signal.Signals, status: int
) -> None:
    with subprocess.Popen(
        argv("sh", "-c", WAITING), env=environment(mark), stdout=subprocess.PIPE, text=True
    ) as outer:
        assert outer.stdout is not None
        assert outer.stdout.readline() == "the command runs\n"
        assert any("etcd" in process for process in left_behind(mark))
        outer.send_signal(number)
        assert outer.wait(30) == status
    inside.until(lambda: not left_behind(mark), "all processes ended", within_s=5)


def test_ctrl_c_ends_the_command_and_then_the_lab(mark: str, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    with subprocess.Popen(
        ["setsid", "--ctty", *argv("sh", "-c", WAITING)],
        env=environment(mark),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as outer:
        said = b""
        while b"the command runs" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"\x03")
        assert outer.wait(30) == 42
    inside.until(lambda: not left_behind(mark), "all processes ended", within_s=5)


def test_a_process_that_dies_fails_the_lab_and_its_log_is_shown(mark: str) -> None:
    outer = subprocess.run(
        argv(
            "sh",
            "-c",
            f"{KILL_SCHEDULER}; exec sleep 60",
        ),
        env=environment(mark),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert outer.returncode == 1
    assert "kube-scheduler ended with status 137; the end of its log:" in outer.stderr
    assert "Starting Kubernetes Scheduler" in outer.stderr


def test_a_node_can_be_added_and_the_command_decides_the_status(mark: str) -> None:
    script = (
        f"{sys.executable} -m lab node add"
        " && kubectl wait --for=condition=Ready --timeout=30s node/node-2"
        f" && {sys.executable} -m lab machine add stranger"
        # Its kube-proxy may still be starting.
        " && for _ in $(seq 100); do"
        f" ip netns exec stranger {sys.executable} -c '{CONNECT}' 10.77.0.12 10256 && exit 17;"
        " sleep 0.1; done; exit 1"
    )
    outer = subprocess.run(
        argv("sh", "-c", script),
        env=environment(mark),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert outer.returncode == 17, outer.stdout + outer.stderr
