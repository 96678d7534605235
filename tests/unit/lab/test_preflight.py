# SPDX-License-Identifier: MIT
import subprocess
from pathlib import Path

import pytest

from lab import errors, preflight


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with what the lab needs, each program a stub that succeeds."""
    for name in preflight.PROGRAMS:
        program(tmp_path, name, "exit 0")
    program(tmp_path, "go", "echo go1.26.8; echo local")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_machine_with_everything_passes(path: Path) -> None:
    preflight.check(build=True)


def test_everything_that_is_missing_is_named_at_once_with_its_package(path: Path) -> None:
    for name in ("nft", "ip", "go"):
        (path / name).unlink()
    with pytest.raises(errors.LabError) as raised:
        preflight.check(build=True)
    message = str(raised.value)
    assert "'nft' is missing: apt-get install nftables" in message
    assert "'ip' is missing: apt-get install iproute2" in message
    assert "Go is missing" in message
    assert "install Go 1.26 or newer" in message


def test_go_is_not_asked_for_when_nothing_must_be_built(path: Path) -> None:
    (path / "go").unlink()
    preflight.check(build=False)


@pytest.mark.parametrize(
    ("says", "enough"),
    [
        ("go1.26.0\\nlocal", True),
        ("go1.27rc1\\nlocal", True),
        ("go1.25.9\\nlocal", False),
        ("go1.21.0\\nauto", True),
        ("go1.19.8\\nauto", False),
        ("devel +abc\\nlocal", False),
    ],
)
def test_an_old_go_will_do_if_it_may_fetch_a_newer_one(
    path: Path, says: str, *, enough: bool
) -> None:
    program(path, "go", f"printf '{says}\\n'")
    if enough:
        preflight.check(build=True)
    else:
        with pytest.raises(errors.LabError, match="too old to build Kubernetes"):
            preflight.check(build=True)


@pytest.mark.parametrize(
    ("switch", "content", "advice"),
    [
        ("APPARMOR_SWITCH", "1", "AppArmor forbids them .* sudo"),
        ("DEBIAN_SWITCH", "0", r"kernel\.unprivileged_userns_clone=1"),
        ("NAMESPACE_LIMIT", "0", r"user\.max_user_namespaces="),
        (None, "", "--privileged"),
    ],
)
def test_refused_namespaces_come_with_what_would_allow_them(
    path: Path, monkeypatch: pytest.MonkeyPatch, switch: str | None, content: str, advice: str
) -> None:
    program(path, "unshare", "echo unshare failed: Operation not permitted >&2; exit 1")
    for name in ("APPARMOR_SWITCH", "DEBIAN_SWITCH", "NAMESPACE_LIMIT"):
        file = path / name
        monkeypatch.setattr(preflight, name, file)
        if name == switch:
            file.write_text(f"{content}\n")
    expected = rf"refused \(unshare failed: Operation not permitted\): .*{advice}"
    with pytest.raises(errors.LabError, match=expected):
        preflight.check(build=False)


def test_what_the_kernel_refuses_is_named(path: Path) -> None:
    program(path, "unshare", 'while [ "$1" != sh ]; do shift; done; exec "$@"')
    program(path, "sh", 'exec /bin/sh "$@"')
    program(path, "nft", "exit 1")
    with pytest.raises(errors.LabError) as raised:
        preflight.check(build=False)
    assert str(raised.value).splitlines()[1:] == [
        "  - the kernel refuses nftables (module nf_tables): load or enable it as root"
    ]


def test_a_metacontroller_without_a_version_is_still_the_real_one(path: Path) -> None:
    binary = program(path, "metacontroller", """echo '{"version":"No version provided"}' >&2""")
    assert "of unknown version" in preflight.metacontroller(str(binary))


def test_the_real_metacontroller_is_asked_for_its_version(path: Path) -> None:
    line = '{"level":"info","msg":"Configuration information","version":"v4.17.2"}'
    binary = program(path, "metacontroller", f"echo '{line}' >&2; exit 1")
    assert preflight.metacontroller(str(binary)) == f"the real one, v4.17.2 ({binary})"
    assert "stand-in" in preflight.metacontroller(None)


@pytest.mark.parametrize("script", ["echo hello >&2", "echo '{}' >&2", "exit 3"])
def test_a_program_that_is_no_metacontroller_is_refused(path: Path, script: str) -> None:
    binary = program(path, "metacontroller", script)
    with pytest.raises(errors.LabError, match="is no Metacontroller"):
        preflight.metacontroller(str(binary))


def test_a_metacontroller_that_cannot_be_started_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.LabError, match="is no Metacontroller that runs here"):
        preflight.metacontroller(str(tmp_path / "none"))


def test_programs_of_the_administrator_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/usr/sbin")
    preflight.extend_path()
    answer = subprocess.run(
        ["/bin/sh", "-c", "echo $PATH"], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "/usr/bin:/usr/sbin:/usr/local/sbin:/sbin"


def test_an_interpreter_that_a_container_cannot_run_is_named(path: Path) -> None:
    program(path, "unshare", "echo /opt/python: Permission denied >&2; echo refused")
    with pytest.raises(errors.LabError, match=r"Permission denied\): let user \d+ itself read"):
        preflight.check(build=False)
