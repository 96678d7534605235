# SPDX-License-Identifier: MIT
"""What part of a Service's traffic a failed node takes with it.

A client spreads its connections evenly over all addresses of a Service; the cable of a node that it
uses is cut. `share` is the part of the connections started during the longest gap that failed,
`lost` is how many that would be at 50 a second to the Service as a whole. MetalLB's Service has one
address; so has keepalived's here, as it usually does.
"""

import time
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import ours
from lab import inside

HIT: Final = "share of traffic hit, "
RATE: Final = 50.0  # connections a second to each address
STEADY_S: Final = 1.3
AFTER_S: Final = 1.5


def sample(place: world.World, addresses: Sequence[str], victim: str) -> tuple[float, float]:
    """Cut one node; return the share in percent and the number of connections lost."""
    place.refresh(addresses)
    with place.client.watch(addresses, every_s=1 / RATE) as results:
        time.sleep(STEADY_S)
        node = place.used_node(victim)
        mac = place.client.mac_of(victim)
        place.cut(node)
        inside.until(lambda: place.client.mac_of(victim) not in {mac, None}, f"{victim} has moved")
        time.sleep(AFTER_S)
    place.plug(node)
    lost = sum(result["failed"] + result["cut"] for result in results) / len(addresses)
    # Between two that were served lies one connection less than the gap has room for.
    started = max(result["longest_gap_s"] for result in results) * RATE - 1
    return round(min(100.0, lost / started * 100), 1), lost


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Cut each contender's nodes in turn."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        present = [one for one in everybody if one.missing is None]
        addresses = {
            one.name: one.serve(len(one.nodes) if isinstance(one, ours.Ours) else 1)
            for one in present
        }
        seen: dict[str, list[tuple[float, float]]] = {one.name: [] for one in present}
        for number in range(options.samples(5, 1)):
            for one in present:
                place.settle_all(everybody, addresses)
                mine = addresses[one.name]
                seen[one.name].append(sample(place, mine, mine[number % len(mine)]))
                scenario.say(f"{number + 1}, {one.name}: {seen[one.name][-1]}")
        for one in everybody:
            if one.missing is not None:
                rows.append(report.Row.missing(f"{HIT}1 address", one.name, one.missing))
                continue
            shares, lost = zip(*seen[one.name], strict=True)
            count = len(addresses[one.name])
            what = f"{count} address{'es' if count > 1 else ''}"
            rows += [
                report.Row(f"{HIT}{what}", one.name, "%", shares),
                report.Row(f"connections lost a failure, {what}", one.name, "", lost),
            ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("share", __doc__, run, arguments)
