# SPDX-License-Identifier: MIT
"""How many of 100 Services' addresses each node answers for, before and after nodes fail.

One address a Service, so that all have the same task; a node is a sample. The cables of one node
and then of a second one are pulled, and who is left is looked at once it answers for everything.
What keepalived does is written by hand into its configuration and says nothing about it.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import keepalived
from lab import inside

SERVICES: Final = 100
QUICK_SERVICES: Final = 20
FAILURES: Final = 2
ANSWERED_WITHIN_S: Final = 60.0
LOOK_S: Final = 2.0


def row_name(count: int, failed: int) -> str:
    """Return what a row is about; `of_row` reads it."""
    return f"addresses a node of {count} Services, nodes cut off: {failed}"


def of_row(what: str) -> int:
    """Return how many nodes were cut off."""
    return int(what.rpartition(" ")[2])


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Make the Services and ask the wire."""
    rows: list[report.Row] = []
    count = options.samples(SERVICES, QUICK_SERVICES)
    with place.contenders() as everybody:
        asked = [one for one in everybody if not isinstance(one, keepalived.Keepalived)]
        addresses = {one.name: one.serve(count, each=1) for one in asked if one.missing is None}
        able = [one for one in asked if one.missing is None]
        left = list(place.nodes)
        for failed in range(FAILURES + 1):
            for one in able:
                tally = collections.Counter(holders(place, addresses[one.name], left).values())
                each = tuple(float(tally[node]) for node in left)
                rows.append(report.Row(row_name(count, failed), one.name, "", each))
                scenario.say(f"{failed} cut off, {one.name}: {each}")
            if failed < FAILURES:
                place.cut(left.pop(0))
        for node in set(place.nodes).difference(left):
            place.plug(node)
        rows += [
            report.Row.missing(row_name(count, 0), one.name, one.missing)
            for one in asked
            if one.missing is not None
        ]
    return rows


def holders(
    place: world.World, addresses: Sequence[str], nodes: Sequence[str]
) -> Mapping[str, str]:
    """Return the node that answers for each address, once exactly one of these does.

    Raises TimeoutError.
    """

    def found() -> dict[str, str]:
        answered = place.wire.macs(addresses, seconds=LOOK_S)
        if any(len(macs) != 1 for macs in answered.values()):
            return {}
        return {address: place.machine_of(min(macs)) or "" for address, macs in answered.items()}

    def settled() -> dict[str, str]:
        seen = found()
        return seen if set(seen.values()) <= set(nodes) else {}

    return inside.until(settled, "one node answers for each address", within_s=ANSWERED_WITHIN_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("spread", __doc__, run, arguments)
