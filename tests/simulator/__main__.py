# SPDX-License-Identifier: MIT
"""Long runs in virtual time, for `make soak`: random trouble, or nothing but lost frames.

Ends with 1 when an hour with lost frames had more false deaths than it may.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

from tests.simulator import invariants, scenario, world

if TYPE_CHECKING:
    from collections.abc import Sequence


class Seeded:
    """Chooses at random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choice(self, options: Sequence[str]) -> str:
        return self._random.choice(options)

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)


def trouble(
    seed: int, *, size: int, addresses: int, steps: int, networks: Sequence[world.Network]
) -> list[invariants.Monitor]:
    """One long scenario; AssertionError when an invariant breaks on one of the segments."""
    network, *others = networks
    lossy = network.loss or network.reorder or network.duplicate
    bounds = invariants.LOSSY if lossy else invariants.LOSSLESS
    made = scenario.start(
        Seeded(seed),
        size=size,
        addresses=addresses,
        seed=seed,
        network=network,
        more={f"eth{number}": other for number, other in enumerate(others, start=1)},
    )
    monitors = [invariants.Monitor(made.world, bounds, name) for name in made.world.networks]
    try:
        for _ in range(steps):
            made.step()
            for monitor in monitors:
                monitor.check()
        made.mend()
        for monitor in monitors:
            monitor.check()
        made.check_rest()
    except AssertionError as error:
        error.add_note("\n".join([f"seed {seed}", *made.done[-15:]]))
        raise
    return monitors


def losses(seed: int, *, size: int, hours: float, loss: float) -> tuple[int, int]:
    """Nothing happens but loss: how many live peers were declared dead, and addresses moved."""
    names = [f"n{number}" for number in range(size)]
    lossy = world.World(names, seed, world.Network(loss=loss))
    lossy.start([world.listed(n, *names[n:], *names[:n]) for n in range(size)])
    lossy.run(10.0)
    lossy.log.clear()
    lossy.deaths.clear()
    lossy.run(hours * 3600)
    return len(lossy.deaths), len(lossy.log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("what", choices=["trouble", "losses"])
    parser.add_argument("--runs", type=int, default=100, help="trouble: how many scenarios")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--addresses", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--segments", type=int, default=1, help="trouble: of each speaker")
    parser.add_argument("--hours", type=float, default=1.0, help="losses: of virtual time")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument(
        "--deaths-an-hour", type=float, default=0.0, help="losses: how many may be false; 0"
    )
    parser.add_argument("--rough", action="store_true", help="delay, reorder and duplicate too")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    if options.what == "losses":
        dead, moved = losses(
            options.first_seed, size=options.size, hours=options.hours, loss=options.loss
        )
        sys.stdout.write(
            f"{options.size} speakers, {options.loss:.0%} loss, {options.hours} h:"
            f" {dead} false deaths, {moved} moves\n"
        )
        allowed = options.deaths_an_hour * options.hours
        if dead > allowed:
            sys.stdout.write(f"at most {allowed:g} may be\n")
        return int(dead > allowed)
    worst_two = worst_none = virtual = 0.0
    for seed in range(options.first_seed, options.first_seed + options.runs):
        monitors = trouble(
            seed,
            size=options.size,
            addresses=options.addresses,
            steps=options.steps,
            networks=[_network(options) for _ in range(options.segments)],
        )
        virtual += monitors[0].world.now - world.EPOCH_S
        worst_two = max(worst_two, *(monitor.worst_two_s for monitor in monitors))
        worst_none = max(worst_none, *(monitor.worst_none_s for monitor in monitors))
    sys.stdout.write(
        f"{options.runs} runs, {virtual:.0f} s of virtual time in"
        f" {time.perf_counter() - began:.0f} s: two holders for at most {worst_two:.3f} s,"
        f" nobody for at most {worst_none:.3f} s\n"
    )
    return 0


def _network(options: argparse.Namespace) -> world.Network:
    if options.rough:
        return world.Network(options.loss, (0.0001, 0.003), 0.05, reorder=True)
    return world.Network(loss=options.loss)


if __name__ == "__main__":
    sys.exit(main())
