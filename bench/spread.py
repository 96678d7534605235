# SPDX-License-Identifier: MIT
"""How many of 100 Services' addresses each node answers for.

One address a Service, so that all have the same task; a node is a sample. What keepalived does is
written by hand into its configuration and says nothing about it.
"""

import collections
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import keepalived
from lab import inside

SERVICES: Final = 100
QUICK_SERVICES: Final = 20
ANSWERED_WITHIN_S: Final = 60.0
LOOK_S: Final = 2.0


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Make the Services and ask the wire."""
    rows: list[report.Row] = []
    count = options.samples(SERVICES, QUICK_SERVICES)
    what = f"addresses a node of {count} Services"
    with place.contenders() as everybody:
        for one in everybody:
            if isinstance(one, keepalived.Keepalived):
                continue
            if one.missing is not None:
                rows.append(report.Row.missing(what, one.name, one.missing))
                continue
            holders = _holders(place, one.serve(count, each=1))
            tally = collections.Counter(holders.values())
            rows.append(
                report.Row(what, one.name, "", tuple(float(tally[node]) for node in one.nodes))
            )
    return rows


def _holders(place: world.World, addresses: Sequence[str]) -> dict[str, str]:
    """Return the node that answers for each address, once exactly one does."""

    def found() -> dict[str, str]:
        answered = place.wire.macs(addresses, seconds=LOOK_S)
        if any(len(macs) != 1 for macs in answered.values()):
            return {}
        return {address: place.machine_of(min(macs)) or "" for address, macs in answered.items()}

    return inside.until(found, "one node answers for each address", within_s=ANSWERED_WITHIN_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("spread", __doc__, run, arguments)
