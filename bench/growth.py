# SPDX-License-Identifier: MIT
"""How long until a new Service's address is first answered, by how many Services there are already.

Every Service has one address and asks for it by name; ours probes for strangers first, as by
default. Whoever is measured has come to rest before: each of its addresses is answered, and some
seconds have passed since. keepalived has no part in this: its addresses are configured.
"""

import time
from collections.abc import Sequence
from typing import Final

from bench import announce
from bench.common import report, scenario, world
from bench.rivals import contender, ours
from lab import inside

SIZES: Final = (0, 100, 300, 500)
QUICK_SIZES: Final = (0, 20)
SAMPLES: Final = 10
FILLED_WITHIN_S: Final = 300.0
SETTLE_S: Final = 15.0  # past the statuses that speakers write, and the answers to them
ASKED_FOR_S: Final = 4.0
AT_ONCE: Final = 100
ALL_ASKED_S: Final = 2.0


def row_name(size: int) -> str:
    """Return what a row is about; `of_row` reads it."""
    return f"beside {size} Services: create to first answer"


def of_row(what: str) -> int:
    """Return how many Services there were."""
    return int(what.split()[1])


def fill(place: world.World, one: contender.Contender, present: int, size: int) -> None:
    """Have `size` Services of a contender, of which `present` are there, and wait until all are up.

    Raises TimeoutError.
    """
    made = [announce.manifest(one, number)[1] for number in range(present + 1, size + 1)]
    for first in range(0, len(made), AT_ONCE):
        place.lab.apply(*made[first : first + AT_ONCE])
    if made:
        contender.ingress(place.lab, [body["metadata"]["name"] for body in made])
    if isinstance(one, ours.Ours):
        inside.until(
            lambda: len(one.announced()) >= size,
            f"all {size} addresses are announced",
            within_s=FILLED_WITHIN_S,
        )


def until_caught_up(place: world.World, one: contender.Contender, present: int) -> None:
    """Wait until a contender that was just woken answers for all it has; raises TimeoutError."""
    addresses = [announce.manifest(one, number)[0] for number in range(1, present + 1)]
    inside.until(
        lambda: not addresses or all(place.wire.macs(addresses, seconds=ALL_ASKED_S).values()),
        f"{one.name} answers for each of {present} addresses",
        within_s=FILLED_WITHIN_S,
    )
    time.sleep(SETTLE_S)


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Add Services, and measure at each number of them, the contenders taking turns."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        competing = announce.able(everybody)
        able = [one for one in competing if one.missing is None]
        present = 0
        for size in QUICK_SIZES if options.quick else SIZES:
            scenario.say(f"from {present} to {size} Services ...")
            for one in able:
                fill(place, one, present, size)
            present = max(present, size)
            numbers = range(present + 1, present + 1 + options.samples(SAMPLES))
            for one in able:
                with place.alone(one, everybody):
                    until_caught_up(place, one, present)
                    rows.append(_measured(place, one, size, numbers))
            present = numbers.stop - 1
        rows += [
            report.Row.missing("create to first answer", one.name, one.missing)
            for one in competing
            if one.missing is not None
        ]
    return rows


def _measured(
    place: world.World, one: contender.Contender, size: int, numbers: Sequence[int]
) -> report.Row:
    """Create the Services of these numbers one after another; say of how many nobody answered."""
    taken: list[float] = []
    unanswered = 0
    for number in numbers:
        try:
            seen = announce.sample(place, one, number, asked_for_s=ASKED_FOR_S)
        except TimeoutError as error:
            unanswered += 1
            scenario.say(f"beside {size}, {one.name}: {error}")
        else:
            taken.append(seen.answer_ms)
            scenario.say(f"beside {size}, {one.name}: {seen}")
    note = f"{unanswered} more had no answer in time" if unanswered else ""
    if not taken:
        return report.Row.missing(row_name(size), one.name, note)
    return report.Row(row_name(size), one.name, "ms", tuple(taken), note=note)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("growth", __doc__, run, arguments)
