# SPDX-License-Identifier: MIT
"""Twenty minutes after its first question Metacontroller forgets what each Service needs to see.

It then asks the customize hook for every Service again, one after another, while whatever happens
waits. So Services are created for longer than that, beside a few hundred, and each is timed.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from bench import scale
from bench.common import report, scenario, services, world

SERVICES: Final = 300
QUICK_SERVICES: Final = 20
FOR_S: Final = 22 * 60.0
QUICK_FOR_S: Final = 20.0
EVERY_S: Final = 5.0
EXPIRY_S: Final = 19 * 60.0  # what is asked after this is asked around or after the expiry
NO_STALL: Final = (report.Bar("worst", 5.0),)


async def measured(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Create one Service after another until the answers have expired."""
    size = QUICK_SERVICES if options.quick else SERVICES
    samples: list[tuple[float, services.State]] = []
    async with services.followed(place.lab, {scale.LABEL: ""}) as made:
        began = time.monotonic()
        scenario.say(f"{size} Services ...")
        await made.create_many(f"web-{number}" for number in range(size))
        await made.right()
        ends = QUICK_FOR_S if options.quick else FOR_S
        while (passed := time.monotonic() - began) < ends:
            samples.append((passed, await scale.one_more(made, f"web-{size + len(samples)}")))
            await asyncio.sleep(EVERY_S)
    rows = []
    for when, chosen in {
        "before answers expire": [s for passed, s in samples if passed < EXPIRY_S],
        "while and after they do": [s for passed, s in samples if passed >= EXPIRY_S],
    }.items():
        for what, seconds in {
            "create to 3 children": [state.children_s for state in chosen],
            "create to status": [state.shown_s for state in chosen],
        }.items():
            rounded = tuple(round(value, 3) for value in seconds)
            title = f"beside {size}, {what}, {when}"
            rows.append(report.Row(title, scale.WHO, "s", rounded, NO_STALL if rounded else ()))
    return rows


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Measure on all nodes of the lab."""
    place.lab.kubectl("label", "node", "--all", f"{scale.LABEL}=")
    return asyncio.run(measured(place, options))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("expiry", __doc__, run, arguments)
