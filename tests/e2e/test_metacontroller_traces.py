# SPDX-License-Identifier: MIT
"""The stand-in does what the real Metacontroller was recorded doing, request by request."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator

import pytest

from lab.api import Json
from tests.e2e.metacontroller import record, stage
from tests.e2e.metacontroller.scenarios import SCENARIOS

STAND_IN = "the stand-in"
PLAYERS = [STAND_IN, *filter(None, [stage.named()])]


@pytest.fixture(scope="module", params=PLAYERS)
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Json]]:
    """Plays a scenario by its name, all of them on one API server with one Metacontroller."""
    binary = None if request.param == STAND_IN else request.param
    directory = tmp_path_factory.mktemp("theatre")
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        try:
            theatre = runner.run(stack.enter_async_context(stage.open_theatre(directory, binary)))
            yield lambda name: runner.run(record.played(theatre, name))
        finally:
            runner.run(stack.aclose())


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_leads_to_what_was_recorded(played: Callable[[str], Json], name: str) -> None:
    recorded = json.loads((record.TRACES / f"{name}.json").read_text())
    assert json.loads(record.as_text(played(name))) == recorded


def test_each_trace_is_that_of_a_scenario() -> None:
    assert {path.stem for path in record.TRACES.iterdir()} == set(SCENARIOS)
