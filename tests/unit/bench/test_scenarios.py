# SPDX-License-Identifier: MIT
import importlib

import pytest

from bench import results

SCENARIOS = sorted(results.ORDER)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_outside_of_a_lab_says_how_to_start_it(name: str, monkeypatch, capsys):
    monkeypatch.delenv("LAB_DIR", raising=False)
    assert importlib.import_module(f"bench.{name}").main([]) == 2
    assert f"python -m lab run --nodes 6 -- python -m bench {name}" in capsys.readouterr().err
