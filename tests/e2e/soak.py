# SPDX-License-Identifier: MIT
"""Random faults and churn in a lab, for as long as one likes: `python -m tests.e2e.soak`.

The steps follow from the seed alone (`soak_plan.py`), so `--seed` does them again. All along the
matrix's witness asks behind the client's port who has the addresses. After each step desired and
observed must be one again, and memory and file descriptors of what was not restarted are looked
at. What was wrong stands in the last lines and in dist/faults-soak.json; then the status is 1.
"""

import argparse
import contextlib
import dataclasses
import json
import random
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from lab import errors, inside
from tests.e2e import people, soak_growth, soak_plan
from tests.e2e.faults import matrix, programs, stage, switch, trial, upstream, wire

ASK_EVERY_S = 0.05
WATCH_CUT_EVERY_S = 1.0
JUDGED = (f"speaker-{soak_plan.SPARED}", "webhook")  # without them a soak says nothing of leaks


class Soak:
    """One soak in the lab that this process runs in."""

    def __init__(
        self, lab: inside.Lab, on: stage.Stage, seen: wire.Wire, beside: wire.Wire
    ) -> None:
        self._lab = lab
        self._stage = on
        self._seen = seen
        self._beside = beside
        self._switch = switch.Switch(lab)
        self._programs = programs.Programs(lab)
        self._upstream = upstream.Upstream(lab)
        self.growths = soak_growth.Growths()
        self.steps = 0

    def run(self, seed: int, seconds: float) -> None:
        """Do steps for so long; raises AssertionError as soon as one does not end well."""
        until = time.monotonic() + seconds
        for step in soak_plan.steps(seed):
            if time.monotonic() >= until:
                return
            self._do(step)
            right = trial.until_right(self._stage, self._seen, self._beside)
            if right.wrong:
                raise AssertionError(f"step {step}: {right.wrong}")
            self.steps = step.number
            self._look()
            _say(f"{step}; right after {right.all_s:.1f} s")

    def _do(self, step: soak_plan.Step) -> None:
        new = [f"soak-{step.number}-{number}" for number in range(step.made)]
        if new:
            self._stage.make(new, count=str(step.count))
        with self._fault(step):
            time.sleep(step.seconds)
            if new and step.deletes_in_fault:
                self._stage.delete(new)
        if new and not step.deletes_in_fault:
            self._stage.delete(new)
        if new:
            self._stage.until_gone(new)

    def _fault(self, step: soak_plan.Step) -> contextlib.AbstractContextManager[Any]:
        fault = soak_plan.Fault
        wires, these = self._switch, self._programs
        node = step.nodes[0] if step.nodes else ""
        match step.fault:
            case fault.NONE:
                return contextlib.nullcontext()
            case fault.CUT:
                return wires.cut(node)
            case fault.UNHEARD:
                return wires.unheard(node)
            case fault.DEAF:
                return wires.deaf(node)
            case fault.LOSSY:
                return wires.losing(step.nodes, step.percent)
            case fault.DOUBLED:
                return wires.duplicating(step.nodes)
            case fault.SPLIT:
                return wires.split(step.nodes)
            case fault.KILLED:
                return these.killed(f"speaker-{node}")
            case fault.PAUSED:
                return these.paused(f"speaker-{node}")
            case fault.STOPPED:
                return these.stopped(f"speaker-{node}")
            case fault.POWER:
                return self._stage.powered_off(node)
            case fault.CORDONED:
                return self._stage.cordoned(node)
            case fault.PROXY:
                return these.killed(f"kube-proxy-{node}")
            case fault.API_AWAY:
                return self._upstream.away()
            case fault.WATCHES:
                return self._upstream.cut_every(WATCH_CUT_EVERY_S)
            case fault.WEBHOOK:
                return these.paused("webhook")
            case fault.METACONTROLLER:
                return these.killed("metacontroller")

    def _look(self) -> None:
        """Look at every speaker and webhook that runs."""
        now = time.monotonic()
        for node in stage.NODES:
            self.growths.look(f"speaker-{node}", self._programs.speaker(node).process, now)
        for process in programs.running("app"):
            self.growths.look("webhook", process, now)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a soak; 1 when something was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="default: a new one, which is printed")
    parser.add_argument("--minutes", type=float, default=30.0, help="default: 30")
    chosen = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if chosen.seed is None else chosen.seed
    lab = inside.Lab()
    matrix.SOAK.unlink(missing_ok=True)
    _say(f"seed {seed}, {chosen.minutes:g} minutes; Metacontroller: {lab.metacontroller}")
    with prepared(lab) as on:
        wrong: list[str] = []
        with (
            wire.watched(on.addresses, every_s=ASK_EVERY_S) as seen,
            wire.watched(on.beside, every_s=trial.BESIDE_EVERY_S) as beside,
        ):
            soak = Soak(lab, on, seen, beside)
            try:
                soak.run(seed, chosen.minutes * 60)
            except (AssertionError, TimeoutError, inside.CommandError, errors.LabError) as error:
                wrong.append(str(error))
    most_s = matrix.DOUBLED_S * max(1, soak.steps)
    wrong += trial.strangers_and_doubles(on, {**seen.seen, **beside.seen}, most_s=most_s)
    grown = dict(soak.growths.judged())
    wrong += soak.growths.unjudged(JUDGED)
    wrong += [f"{name} grows: {growth}" for name, growth in grown.items() if not growth.flat]
    document = {
        "seed": seed,
        "steps": soak.steps,
        "minutes": chosen.minutes,
        "metacontroller": lab.metacontroller,
        "growth": {name: dataclasses.asdict(growth) for name, growth in grown.items()},
        "doubled_s": max((one.doubled_s for one in seen.seen.values()), default=None),
        "wrong": wrong,
    }
    matrix.SOAK.parent.mkdir(parents=True, exist_ok=True)
    matrix.SOAK.write_text(json.dumps(document, indent=1), encoding="utf-8")
    for name, growth in grown.items():
        _say(f"{name}: {growth}")
    for sentence in wrong:
        _say(f"WRONG: {sentence}")
    _say(f"{soak.steps} steps of seed {seed}, {len(wrong) or 'nothing'} wrong")
    return 1 if wrong else 0


@contextlib.contextmanager
def prepared(lab: inside.Lab) -> Iterator[stage.Stage]:
    """Have the matrix's stage in a namespace of the soak's own."""
    name = f"soak-{uuid.uuid4().hex[:6]}"
    with people.namespace(lab, name):
        made = stage.Stage(lab, name)
        made.install()
        try:
            yield made
        finally:
            made.remove()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
