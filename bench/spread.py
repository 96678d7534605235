# SPDX-License-Identifier: MIT
"""How many of 100 Services' addresses each node answers for, before and after nodes fail.

One address a Service, so that all have the same task; a node is a sample. The cables of one node,
and then of three pairs of nodes, one pair after another, are pulled, and who is left is looked at
once it answers for everything. Which pair it is matters, so the most that a node has after each is
a row of its own. What keepalived does is written by hand into its configuration.
"""

import collections
from collections.abc import Mapping, Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import contender, keepalived
from lab import inside

SERVICES: Final = 100
QUICK_SERVICES: Final = 20
PAIRS: Final = ((0, 1), (2, 3), (4, 0))  # every node of five is in one, whatever the preference
ANSWERED_WITHIN_S: Final = 60.0
LOOK_S: Final = 2.0
BY_HAND: Final = "which node has which address is written by hand into its configuration"
LOADS: Final = "addresses a node of "
_WITHOUT: Final = "without "


def row_name(count: int, cut: Sequence[str]) -> str:
    """Return what a row is about; `of_row` reads it."""
    return f"{LOADS}{count} Services, {_WITHOUT}{' and '.join(cut) or 'a failure'}"


def of_row(what: str) -> str:
    """Return which nodes were cut off."""
    return _WITHOUT + what.rpartition(_WITHOUT)[2]


def cuts(nodes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the nodes to cut off together, one turn after another."""
    pairs = [tuple(nodes[number] for number in pair) for pair in PAIRS if max(pair) < len(nodes)]
    return [(), (nodes[0],), *pairs]


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Make the Services and ask the wire."""
    rows: list[report.Row] = []
    count = options.samples(SERVICES, QUICK_SERVICES)
    with place.contenders() as everybody:
        able = [one for one in everybody if _has_part(one)]
        addresses = {one.name: one.serve(count, each=1) for one in able}
        most: dict[str, list[float]] = {one.name: [] for one in able}
        for cut in cuts(place.nodes):
            left = [node for node in place.nodes if node not in cut]
            for node in cut:
                place.cut(node)
            for one in able:
                tally = collections.Counter(holders(place, addresses[one.name], left).values())
                each = tuple(float(tally[node]) for node in left)
                rows.append(report.Row(row_name(count, cut), one.name, "", each))
                scenario.say(f"without {cut}, {one.name}: {each}")
                if len(cut) > 1:
                    most[one.name].append(max(each))
            for node in cut:
                place.plug(node)
            # Else a node that has not taken its addresses back yet has nothing to lose.
            place.settle_all(everybody, addresses)
        what = f"most addresses on a node of {count} Services, two nodes cut off"
        rows += [report.Row(what, one.name, "", tuple(most[one.name])) for one in able]
        for one in everybody:
            if one not in able:
                rows.append(report.Row.missing(what, one.name, one.missing or BY_HAND))
    return rows


def _has_part(one: contender.Contender) -> bool:
    return one.missing is None and not isinstance(one, keepalived.Keepalived)


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
