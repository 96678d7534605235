# SPDX-License-Identifier: MIT
"""Containers are really made here, in namespaces of their own, as a lab makes them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab import sandbox
from lab.agent import contain, security

NET_RAW = security.CAPABILITIES.index("NET_RAW")

# Runs within fresh namespaces: lays out /run, starts the container, waits for it.
OUTER = """
set -e
mount -t tmpfs lab /run
mkdir -p /run/root /run/names /run/token /run/data /run/node
echo '10.96.0.1 kubernetes.default' > /run/names/hosts
echo secret > /run/token/token
{python} -I -S {contain} {ready} {plan}
"""


def run(
    tmp_path: Path, script: str, **changes: Any
) -> tuple[str, subprocess.CompletedProcess[str]]:
    """Run a shell script in a container; return the complaint of its start, and what it did."""
    secrets = "/var/run/secrets/kubernetes.io/serviceaccount"
    volumes = [("/.names", "names", True), (secrets, "token", True), ("/data", "data", False)]
    plan = {
        "join": 0,
        "netns": "/proc/self/ns/net",
        "own_network": True,
        "hostname": "web-1",
        "root": "/run/root",
        "volumes": [
            {"path": path, "source": f"/run/{source}", "read_only": read_only}
            for path, source, read_only in (*volumes, ("/etc/l2lb/deep", "node", False))
        ],
        "links": {"/etc/hosts": "/.names/hosts"},
        "paths": [str(tmp_path)],
        "read_only": True,
        "capabilities": [NET_RAW],
        "no_new_privileges": True,
        "directory": "/data",
        "argv": ["sh", "-c", script],
        "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin", "COLOUR": "red"},
        **changes,
    }
    given = os.memfd_create("plan")
    os.write(given, json.dumps(plan).encode())
    os.lseek(given, 0, os.SEEK_SET)
    readable, writable = os.pipe()
    outer = OUTER.format(
        python=sys.executable, contain=contain.__file__, ready=writable, plan=given
    )
    with subprocess.Popen(
        [*sandbox.UNSHARE, "sh", "-c", outer],
        pass_fds=(given, writable),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(given)
        os.close(writable)
        with os.fdopen(readable) as ready:
            complaint = ready.read()
        output, errors = process.communicate(timeout=30)
    return complaint, subprocess.CompletedProcess([], process.returncode, output, errors)


def lines(tmp_path: Path, script: str, **changes: Any) -> list[str]:
    complaint, done = run(tmp_path, script, **changes)
    assert complaint == ""
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_its_volumes_are_where_their_mount_paths_say(tmp_path: Path) -> None:
    assert lines(
        tmp_path,
        "cat /var/run/secrets/kubernetes.io/serviceaccount/token; "
        "echo written > /etc/l2lb/deep/file; cat /etc/l2lb/deep/file; pwd",
    ) == ["secret", "written", "/data"]


def test_service_names_resolve_and_the_rest_of_etc_is_still_there(tmp_path: Path) -> None:
    assert lines(tmp_path, "getent hosts kubernetes.default; getent passwd root | cut -d: -f1") == [
        "10.96.0.1       kubernetes.default",
        "root",
    ]


@pytest.mark.parametrize(
    "path", ["/x", "/etc/x", "/usr/x", "/run/x", "/tmp/x", "/.names/x", "/var/run/secrets/x"]
)
def test_with_a_read_only_root_only_volumes_can_be_written(tmp_path: Path, path: str) -> None:
    _, done = run(tmp_path, f"touch /data/x && touch {path}")
    assert done.returncode != 0
    assert f"touch: cannot touch '{path}': Read-only file system" in done.stderr


def test_with_a_writable_root_its_own_folders_can_be_written_and_the_machines_not(
    tmp_path: Path,
) -> None:
    lines(tmp_path, "touch /x /run/x /tmp/x /etc/x", read_only=False)
    _, done = run(tmp_path, "touch /usr/x", read_only=False)
    assert "Read-only file system" in done.stderr
    assert not Path("/usr/x").exists()


def test_it_has_the_environment_and_the_name_that_it_was_given(tmp_path: Path) -> None:
    assert lines(tmp_path, 'echo "$COLOUR $HOME"; uname -n') == ["red ", "web-1"]


def test_it_keeps_only_the_capabilities_that_it_was_given(tmp_path: Path) -> None:
    wanted = f"{1 << NET_RAW:016x}"
    script = "grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status"
    assert [line.split()[1] for line in lines(tmp_path, script)] == [wanted, wanted, wanted, "1"]
    script = "grep ^CapEff /proc/self/status"
    assert lines(tmp_path, script, capabilities=[]) == [f"CapEff:\t{0:016x}"]


def test_low_ports_are_free_to_bind_in_a_network_of_its_own(tmp_path: Path) -> None:
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert lines(tmp_path, script) == ["0"]


def test_a_folder_below_tmp_can_be_shown_to_it(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("here\n")
    assert lines(tmp_path, f"cat {tmp_path}/program") == ["here"]


def test_a_volume_at_tmp_does_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("here\n")
    volumes = [{"path": "/tmp", "source": "/run/data", "read_only": False}]
    script = f"cat {tmp_path}/program; touch /tmp/scratch"
    names = {"path": "/.names", "source": "/run/names", "read_only": True}
    assert lines(tmp_path, script, volumes=[*volumes, names], directory="/") == ["here"]


def test_nothing_else_of_the_machines_run_and_tmp_is_seen(tmp_path: Path) -> None:
    assert lines(tmp_path, "ls /run; ls /tmp", paths=[]) == ["secrets"]


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    complaint, done = run(tmp_path, "", argv=["nosuch"])
    assert complaint == (
        "the program 'nosuch' is not found, PATH is '/usr/local/bin:/usr/bin:/bin'"
    )
    assert done.returncode == 128


def test_a_working_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    complaint, _ = run(tmp_path, "", directory="/nowhere")
    assert "'/nowhere'" in complaint
