# SPDX-License-Identifier: MIT
"""``METACONTROLLER=PATH python -m tests.e2e.metacontroller.record``: record the traces anew.

Only the real Metacontroller is recorded; the stand-in is compared with it by
``test_metacontroller_traces.py``.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from lab.api import Json
from tests.e2e.metacontroller import stage
from tests.e2e.metacontroller.scenarios import SCENARIOS

TRACES = stage.CHECKOUT / "tests" / "data" / "traces"


def main() -> int:
    """Record the scenarios named on the command line, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], metavar="SCENARIO")
    chosen = parser.parse_args().scenarios or list(SCENARIOS)
    binary = stage.named()
    if binary is None:
        parser.error("METACONTROLLER must name the real Metacontroller's binary")
    asyncio.run(_record(binary, chosen))
    return 0


async def _record(binary: str, chosen: list[str]) -> None:
    TRACES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        async with stage.open_theatre(Path(directory), binary) as theatre:
            for name in chosen:
                trace = await played(theatre, name)
                (TRACES / f"{name}.json").write_text(as_text(trace))


async def played(theatre: stage.Theatre, name: str) -> Json:
    """Play a scenario and return its trace."""
    async with theatre.stage() as on:
        await SCENARIOS[name](on)
        return {"scenario": name, "steps": on.steps, "events": await on.events()}


def as_text(trace: Json) -> str:
    """Return a trace as it is stored."""
    return json.dumps(trace, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
