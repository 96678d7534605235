# SPDX-License-Identifier: MIT
"""What ARP broadcasts that concern nobody cost: 5,000 a second, for an address of no one.

The processor time of the programs on all nodes, with the noise and without it, in turns; their
difference a frame and node, in microseconds. The kernel drops the frame before it wakes our
speaker; what is left is the noise of the measurement itself, and may be below zero.
"""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.common import machine, report, scenario, world
from bench.rivals import contender, metallb, ours

FOREIGN: Final = "10.77.0.9"  # no machine of the lab has it
RATE: Final = 5000
EVERYBODY: Final = "ff:ff:ff:ff:ff:ff"
SECONDS: Final = 10.0
QUICK_SECONDS: Final = 3.0
SETTLE_S: Final = 5.0
METALLB_SHARE: Final = 50  # we may cost at most 1/50 of it
METALLB_US: Final = 20.0  # where it is not there to be measured
ADDRESSES: Final = 5
# A sample is a difference of two times: who pays nothing, as keepalived, comes out within this.
RESOLUTION_US: Final = 0.1


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Measure all at the same time: they hear the same frames."""
    seconds = QUICK_SECONDS if options.quick else SECONDS
    with place.contenders() as everybody:
        present = [one for one in everybody if one.missing is None]
        for one in present:
            place.settle(one.serve(ADDRESSES), one.preferred())
        time.sleep(SETTLE_S)
        pids = {
            one.name: [pid for node in one.nodes for pid in one.process_ids(node)]
            for one in present
        }
        cost_us: dict[str, list[float]] = {one.name: [] for one in present}
        for number in range(options.samples(6)):
            with _spent(pids) as quiet:
                time.sleep(seconds)
            with _spent(pids) as noisy:
                sent = place.wire.flood(FOREIGN, to=EVERYBODY, rate=RATE, seconds=seconds)["sent"]
            for one in present:
                idle_s = quiet.cpu_s[one.name] / quiet.passed_s * noisy.passed_s
                extra_s = (noisy.cpu_s[one.name] - idle_s) / len(one.nodes)
                cost_us[one.name].append(round(extra_s / sent * 1e6, 3))
            scenario.say(f"{number + 1}: {sent / seconds:.0f} frames a second, {cost_us}")
    return [_row(one, cost_us) for one in everybody]


@dataclasses.dataclass(slots=True)
class _Spent:
    """Processor seconds of each program, and the time that passed; complete when it is over."""

    cpu_s: dict[str, float]
    passed_s: float = 0.0


@contextlib.contextmanager
def _spent(pids: Mapping[str, Sequence[int]]) -> Iterator[_Spent]:
    before = {name: machine.cpu_s(ids) for name, ids in pids.items()}
    started = time.monotonic()
    spent = _Spent({})
    yield spent
    spent.passed_s = time.monotonic() - started
    spent.cpu_s = {name: machine.cpu_s(ids) - before[name] for name, ids in pids.items()}


def _row(one: contender.Contender, cost_us: dict[str, list[float]]) -> report.Row:
    what = "CPU a foreign frame"
    if one.missing is not None:
        return report.Row.missing(what, one.name, one.missing)
    rival = cost_us.get(metallb.MetalLb.name)
    limit = (statistics.median(rival) if rival else METALLB_US) / METALLB_SHARE
    bars = (report.Bar("median", round(limit, 3)),) if isinstance(one, ours.Ours) else ()
    samples = tuple(cost_us[one.name])
    return report.Row(what, one.name, "us", samples, bars=bars, resolution=RESOLUTION_US)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("noise", __doc__, run, arguments)
