# SPDX-License-Identifier: MIT
"""How long after a Service is created somebody first answers ARP for its address.

The address is asked for by name and never used before, so that ours probes for strangers first:
run with L2LB_PROBE=off in the lab's environment for the time without. Asked every 2 ms. keepalived
has no part in this: its addresses are configured.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import contender, metallb, ours
from contract import names
from lab import api, inside

EVERY_S: Final = 0.002
ASKED_FOR_S: Final = 2.0
BARS_MS: Final = {"off": 80, "short": 300}
METALLB_ADDRESSES: Final = "metallb.io/loadBalancerIPs"
SERVICES: Final = f"/api/v1/namespaces/{contender.NAMESPACE}/services"


def manifest(one: contender.Contender, number: int) -> tuple[str, contender.Json]:
    """Return an address of the contender's pool and the Service that asks for it."""
    if isinstance(one, ours.Ours):
        address = f"10.77.3.{number}"
        annotations = {
            names.SERVICE_BALANCER: ours.BALANCER,
            names.SERVICE_IP_COUNT: "1",
            names.SERVICE_ADDRESSES: address,
        }
        kind = names.SERVICE_CLASS
    else:
        address = f"10.77.4.{number}"
        annotations = {METALLB_ADDRESSES: address}
        kind = metallb.CLASS
    name = f"announce-{address.replace('.', '-')}"
    return address, contender.service(
        name, kind="LoadBalancer", annotations=annotations, loadBalancerClass=kind
    )


def sample(place: world.World, one: contender.Contender, number: int) -> float:
    """Create one Service and return the milliseconds until the first answer."""
    address, body = manifest(one, number)
    with place.wire.ask([address], every_s=EVERY_S) as seen:
        created = asyncio.run(_create(place.lab, body))
        time.sleep(ASKED_FOR_S)
    if seen[0].first_answer is None:
        raise TimeoutError(f"nobody answered for {address} within {ASKED_FOR_S} s")
    return round((seen[0].first_answer - created) * 1000, 1)


async def _create(lab: inside.Lab, body: contender.Json) -> float:
    """Create it over a connection that stands; return the time just before."""
    async with api.Api.from_kubeconfig(lab.kubeconfig, user_agent="bench") as calls:
        await calls.get(SERVICES, limit=1)
        before = time.time()
        await calls.create(SERVICES, body)
    return before


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Create Services one after another, the contenders taking turns."""
    probe = os.environ.get("L2LB_PROBE", "short")
    what = "create to first answer"
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        able = [one for one in everybody if isinstance(one, ours.Ours | metallb.MetalLb)]
        took_ms: dict[str, list[float]] = {one.name: [] for one in able}
        for number in range(1, options.samples(30) + 1):
            for one in able:
                if one.missing is None:
                    took_ms[one.name].append(sample(place, one, number))
                    scenario.say(f"{number}, {one.name}: {took_ms[one.name][-1]} ms")
        for one in able:
            mine = isinstance(one, ours.Ours)
            if one.missing is not None:
                rows.append(report.Row.missing(what, one.name, one.missing))
                continue
            rows.append(
                report.Row(
                    f"{what}, {probe} probe" if mine else what,
                    one.name,
                    "ms",
                    tuple(took_ms[one.name]),
                    bars=(report.Bar("median", BARS_MS[probe]),) if mine else (),
                )
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("announce", __doc__, run, arguments)
