# SPDX-License-Identifier: MIT
import dataclasses
import subprocess

import pytest

from lab import errors, network, sandbox

SETTINGS = sandbox.Settings(
    command=("sh", "-c", 'echo "two\nlines"'),
    programs="/programs",
    nodes=3,
    product=True,
    values=None,
    changes=("speaker.probe=off",),
    metacontroller=None,
    metacontroller_name="the stand-in",
    logs=None,
    emulated_version="1.34",
)


def test_settings_survive_the_way_to_the_supervisor_on_one_line() -> None:
    encoded = SETTINGS.to_json()
    assert "\n" not in encoded
    assert sandbox.Settings.from_json(encoded) == SETTINGS


def test_a_lab_says_how_another_one_like_it_is_started() -> None:
    words = "python -m lab run --nodes 3 --set speaker.probe=off --emulated-version 1.34"
    assert SETTINGS.words == words
    assert sandbox.environment(SETTINGS)["LAB_STARTED_BY"] == words


def test_a_path_of_this_machine_is_no_part_of_how_a_lab_is_started() -> None:
    told = dataclasses.replace(
        SETTINGS, metacontroller="/somewhere/mc", values="/somewhere/mine.yaml", product=False
    )
    assert told.words.startswith("METACONTROLLER=/path/to/metacontroller python -m lab run ")
    assert "--values mine.yaml --no-product" in told.words
    assert "/somewhere" not in told.words


@pytest.mark.parametrize("script", ["exit 0", "exit 7", "kill -9 $$", "kill -2 $$"])
def test_a_status_is_what_a_shell_would_give(script: str) -> None:
    ended = subprocess.run(["sh", "-c", script], check=False)
    shell = subprocess.run(["sh", "-c", f"sh -c '{script}'; exit $?"], check=False)
    assert sandbox.shell_status(ended.returncode) == shell.returncode


def test_a_lab_within_a_lab_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_DIR", "/run/lab")
    with pytest.raises(errors.LabError, match="inside of a lab already"):
        sandbox.run(SETTINGS)


def test_a_machines_command_line_enters_its_namespace_and_the_labs_own_is_left_alone() -> None:
    assert network.inside(None, ["true"]) == ["true"]
    assert network.inside("node-1", ["true"]) == ["ip", "netns", "exec", "node-1", "true"]
