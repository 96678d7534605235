# SPDX-License-Identifier: MIT
import os
from pathlib import Path

import pytest

from lab import cli, sandbox


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sandbox, "LOGS", tmp_path)
    (tmp_path / "etcd.log").write_text("etcd says hello\n")
    (tmp_path / "node-1").mkdir()
    (tmp_path / "node-1" / "pod.log").write_bytes(b"a pod \xff says hello\n")
    return tmp_path


def test_the_logs_are_listed_and_printed(logs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["logs"]) == 0
    assert capsys.readouterr().out == "etcd\nnode-1/pod\n"
    assert cli.main(["logs", "node-1/pod"]) == 0
    assert capsys.readouterr().out == "a pod � says hello\n"


def test_a_containers_logs_are_found_by_its_name_as_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "LOGS", tmp_path)
    written = {"node-1/a_b_speaker": 2, "node-1/a_z_speaker": 1, "node-11/a_c_speaker": 3}
    for name, moment in written.items():
        path = tmp_path / f"{name}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name}\n")
        os.utime(path, (moment, moment))
    assert cli.main(["logs", "speaker-node-1"]) == 0
    assert capsys.readouterr().out == "node-1/a_z_speaker\nnode-1/a_b_speaker\n"
    assert cli.main(["logs", "speaker"]) == 0
    assert capsys.readouterr().out.endswith("node-11/a_c_speaker\n")
    assert cli.main(["logs", "speaker-node-2"]) == 1


def test_an_unknown_log_is_answered_with_those_that_there_are(
    logs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["logs", "../etc/passwd"]) == 1
    assert capsys.readouterr().err == (
        "lab: there is no log '../etc/passwd'; there are: etcd, node-1/pod\n"
    )


def test_outside_a_lab_one_is_told_how_to_keep_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "LOGS", tmp_path / "none")
    assert cli.main(["logs"]) == 1
    assert "--logs FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["node", "kill", "node-1"],
        ["node", "add"],
        ["apiserver", "stop"],
        ["machine", "add", "stranger"],
        ["speaker", "pause", "node-1"],
    ],
)
def test_commands_for_the_inside_say_so_outside(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LAB_DIR", raising=False)
    assert cli.main(words) == 1
    assert "not the inside of a lab" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "81"])
def test_a_wrong_number_of_nodes_is_refused_before_anything_starts(
    count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--nodes", count, "--", "true"]) == 1
    assert f"a lab has 1 to 80 nodes, not {count}" in capsys.readouterr().err


def test_a_file_of_values_that_is_not_there_is_named_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["run", "--values", "no.yaml", "--", "true"]) == 1
    assert "there is no file no.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["run"], ["node"], ["node", "explode", "node-1"]])
def test_an_incomplete_or_unknown_command_is_refused_with_the_usage(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(words)
    assert raised.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m lab")
