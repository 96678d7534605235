# SPDX-License-Identifier: MIT
import io
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from lab import errors, programs, progress

GO = """\
case "$1" in
list) printf 'a/one\\nb/two\\n';;
build)
  printf 'a/one\\nb/two\\n'
  {body}
  while [ "$1" != -o ]; do shift; done; echo binary > "$2";;
esac
"""


@pytest.fixture
def told() -> progress.Progress:
    return progress.Progress(io.StringIO(), quiet_s=0)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that builds at once, a cache of the test's own and a copy of the sources."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    fake = binaries / "go"
    fake.write_text("#!/bin/sh\n" + GO.format(body=""))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    source = tmp_path / "kube"
    shutil.copytree(programs.SOURCE, source)
    monkeypatch.setattr(programs, "SOURCE", source)
    return fake


def test_a_build_is_found_again_and_has_every_program(go: Path, told: progress.Progress) -> None:
    assert programs.ready_folder() is None
    built = programs.build(told)
    assert programs.ready_folder() == built
    for name in programs.NAMES:
        assert (built / name).read_text() == "binary\n"
    assert sorted(path.name for path in programs.cache().iterdir()) == [built.name, "lock"]


def test_another_source_is_another_build(go: Path, told: progress.Progress) -> None:
    before = programs.build(told)
    main = programs.SOURCE / "main.go"
    main.write_text(main.read_text() + "\n// other\n")
    assert programs.ready_folder() is None
    assert programs.build(told) != before


def test_the_version_of_kubernetes_is_set_from_what_is_required() -> None:
    flags = " ".join(programs._build_flags())
    required = (programs.SOURCE / "go.mod").read_text()
    version = next(
        line.split()[1] for line in required.splitlines() if "k8s.io/kubernetes v" in line
    )
    assert f"-X k8s.io/component-base/version.gitVersion={version} " in flags
    assert f"-X k8s.io/client-go/pkg/version.gitVersion={version} " in flags


def test_a_failed_build_says_what_go_said_and_leaves_nothing(
    go: Path, told: progress.Progress
) -> None:
    go.write_text("#!/bin/sh\n" + GO.format(body="echo 'main.go:9: wrong' >&2; exit 1"))
    with pytest.raises(errors.LabError, match=r"failed and said:\n(  .*\n)*  main\.go:9: wrong$"):
        programs.build(told)
    assert [path.name for path in programs.cache().iterdir()] == ["lock"]


def test_a_module_that_cannot_be_fetched_is_reported(go: Path, told: progress.Progress) -> None:
    go.write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    with pytest.raises(errors.LabError, match=r"go list' in .* said:\n  no network"):
        programs.build(told)


def test_two_builds_at_once_make_one(go: Path, tmp_path: Path) -> None:
    log = tmp_path / "builds"
    go.write_text("#!/bin/sh\n" + GO.format(body=f"echo built >> {log}; read line < {log}.go"))
    os.mkfifo(f"{log}.go")
    streams = [io.StringIO(), io.StringIO()]
    builds = [
        threading.Thread(target=programs.build, args=(progress.Progress(stream),))
        for stream in streams
    ]
    for build in builds:
        build.start()
    while not any("waiting for it" in stream.getvalue() for stream in streams):
        time.sleep(0.01)
    Path(f"{log}.go").write_text("go on\n")
    for build in builds:
        build.join(30)
    assert log.read_text() == "built\n"
    assert programs.ready_folder() is not None


def test_only_the_newest_builds_are_kept(go: Path, told: progress.Progress) -> None:
    programs.cache().mkdir(parents=True)
    for age in range(1, 5):
        old = programs.cache() / f"kube-{age}"
        old.mkdir()
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    built = programs.build(told)
    kept = {path.name for path in programs.cache().glob("kube-*")}
    assert kept == {built.name, "kube-1"}


def test_ready_binaries_that_the_environment_names_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    for name in programs.NAMES:
        (tmp_path / name).touch(mode=0o755)
    assert programs.ready_folder() == tmp_path
    (tmp_path / "kube-proxy").unlink()
    (tmp_path / "helm").unlink()
    with pytest.raises(errors.LabError, match=f"{tmp_path} lacks helm, kube-proxy: put them"):
        programs.ready_folder()
