# SPDX-License-Identifier: MIT
"""How a scenario is run from the command line and what it leaves behind."""

import argparse
import dataclasses
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.common import machine, report, revision, world
from lab import errors, inside

Run = Callable[[world.World, "Options"], Sequence[report.Row]]


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; `quick` is a trial with few samples, not a result."""

    quick: bool
    scale: float = 1.0

    def samples(self, full: int, quick: int = 2) -> int:
        """Return how many samples to take."""
        return quick if self.quick else max(1, round(full * self.scale))


def main(name: str, text: str | None, run: Run, arguments: Sequence[str] | None) -> int:
    """Run a scenario in the lab that this process is in; return the exit status.

    0 when everything was measured, whether or not a bar was missed: a miss is a result. 2 outside
    of a lab.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    parser.add_argument("--quick", action="store_true", help="few samples: a trial, no result")
    parser.add_argument(
        "--scale", type=float, default=1.0, metavar="X", help="take X times as many samples"
    )
    parser.add_argument(
        "--only", default="", metavar="NAME", help="leave out all whose name does not contain this"
    )
    options = parser.parse_args(arguments)
    try:
        lab = inside.Lab()
    except errors.LabError:
        print(
            f"The scenario {name!r} runs inside a lab. Start it with: python -m lab run "
            f"--nodes 6 -- python -m bench {name}",
            file=sys.stderr,
        )
        return 2
    before = machine.Moment.now()
    load_before = os.getloadavg()
    started = time.time()
    place = world.World(lab, only=options.only)
    place.prepare()
    rows = run(place, Options(options.quick, options.scale))
    document: dict[str, Any] = {
        "scenario": name,
        "measures": (text or "").strip().partition("\n")[0],
        "command": _repeatable(lab, name, options),
        "revision": revision.read(),
        "quick": options.quick,
        "nodes": len(place.nodes) + 1,
        "metacontroller": _without_path(lab.metacontroller),
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime(started)),
        "seconds": round(time.time() - started),
        "machine": machine.describe(),
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "busy_percent": machine.Moment.now().busy_percent_since(before),
        "rows": [row.document() for row in rows],
    }
    print(report.table(rows))
    print(
        f"{document['machine']['cores']} cores, {document['busy_percent']} % busy with everything; "
        f"load {load_before[0]:.1f} before, {document['load_after'][0]:.1f} after; "
        f"{document['seconds']} s"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        scratch = options.json.with_name(options.json.name + ".new")
        scratch.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        scratch.replace(options.json)
    return 0


def _repeatable(lab: inside.Lab, name: str, options: argparse.Namespace) -> str:
    """Return the command that gives the same again."""
    words = ["python", "-m", "bench", name]
    if options.quick:
        words.append("--quick")
    if options.scale != 1:
        words += ["--scale", f"{options.scale:g}"]
    if options.only:
        words += ["--only", options.only]
    return f"{lab.started_by} -- {shlex.join(words)}"


def _without_path(name: str) -> str:
    """Leave out where on this machine a program lies."""
    return re.sub(r" \(/[^)]*\)", "", name)


def say(sentence: str) -> None:
    """Tell the one who waits how far it is."""
    print(sentence, file=sys.stderr, flush=True)
