# SPDX-License-Identifier: MIT
import argparse
import importlib

import pytest

from bench import results
from bench.common import scenario
from lab import inside

SCENARIOS = sorted(results.ORDER)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_outside_of_a_lab_says_how_to_start_it(name: str, monkeypatch, capsys):
    monkeypatch.delenv("LAB_DIR", raising=False)
    assert importlib.import_module(f"bench.{name}").main([]) == 2
    assert f"python -m lab run --nodes 6 -- python -m bench {name}" in capsys.readouterr().err


def test_the_command_that_gives_the_same_again_starts_the_same_lab():
    lab = inside.Lab(
        {
            "LAB_DIR": "/run/lab",
            "KUBECONFIG": "/run/lab/kubeconfig",
            "LAB_METACONTROLLER": "the real one, v4.17.2 (/somewhere/metacontroller)",
            "LAB_STARTED_BY": "python -m lab run --nodes 6 --set speaker.probe=off",
        }
    )
    options = argparse.Namespace(quick=True, scale=0.5, only="Metal")
    assert scenario._repeatable(lab, "announce", options) == (
        "python -m lab run --nodes 6 --set speaker.probe=off -- "
        "python -m bench announce --quick --scale 0.5 --only Metal"
    )
    assert scenario._without_path(lab.metacontroller) == "the real one, v4.17.2"
