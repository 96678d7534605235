# SPDX-License-Identifier: MIT
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
