# SPDX-License-Identifier: MIT
import subprocess
from pathlib import Path

from bench.common import revision


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    argv = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_a_revision_says_whether_sources_differ_from_it_and_results_are_no_source(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "docs").mkdir()
    for name in ("program", "docs/result"):
        (tmp_path / name).write_text("one")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    name = git(tmp_path, "rev-parse", "--short", "HEAD")
    assert revision.read(tmp_path) == name
    (tmp_path / "docs/result").write_text("two")
    assert revision.read(tmp_path) == name
    (tmp_path / "program").write_text("two")
    assert revision.read(tmp_path) == f"{name}+changes"


def test_outside_of_a_checkout_the_revision_is_unknown(tmp_path):
    assert revision.read(tmp_path) == revision.UNKNOWN
