# SPDX-License-Identifier: MIT
"""How long after a Service is created somebody first answers ARP for its address.

The address is asked for by name and never used before, so that ours probes for strangers first:
start the lab with --set speaker.probe=off for the time without. Asked every 2 ms. keepalived
has no part in this: its addresses are configured. Our time is told apart at the moment when the
child Service exists: before it lie Metacontroller and the webhook, after it the speaker.
"""

import asyncio
import contextlib
import dataclasses
import ipaddress
import time
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import contender, metallb, ours
from contract import names
from lab import api, errors, inside, release

EVERY_S: Final = 0.002
A_POOL: Final = 1000  # addresses that only the wire sees
SAMPLES: Final = 30
IN_A_ROW: Final = 10
ASKED_FOR_S: Final = 2.0
CHILD_WITHIN_S: Final = 30.0
ANSWER: Final = "create to first answer, ours with probe"
BARS_MS: Final = {"off": 80, "short": 300}
METALLB_ADDRESSES: Final = "metallb.io/loadBalancerIPs"
SERVICES: Final = f"/api/v1/namespaces/{contender.NAMESPACE}/services"


def manifest(one: contender.Contender, number: int) -> tuple[str, contender.Json]:
    """Return the address of this number in the contender's pool, and the Service that asks for it.

    Numbers begin with 1.
    """
    if number >= A_POOL:
        raise ValueError(f"address {number} of {A_POOL - 1}")
    pool = ours.MANY_POOL if isinstance(one, ours.Ours) else metallb.MANY_POOL
    address = str(ipaddress.IPv4Address(pool.partition("-")[0]) + number)
    if isinstance(one, ours.Ours):
        annotations = {
            names.SERVICE_BALANCER: ours.BALANCER,
            names.SERVICE_IP_COUNT: "1",
            names.SERVICE_ADDRESSES: address,
        }
        kind = names.SERVICE_CLASS
    else:
        annotations = {METALLB_ADDRESSES: address}
        kind = metallb.CLASS
    name = f"announce-{address.replace('.', '-')}"
    return address, contender.service(
        name, kind="LoadBalancer", annotations=annotations, loadBalancerClass=kind
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Milliseconds from the creation to the first answer, and to the child where there is one."""

    answer_ms: float
    child_ms: float | None


def able(everybody: Sequence[contender.Contender]) -> list[contender.Contender]:
    """Return those who take their addresses from Services."""
    return [one for one in everybody if isinstance(one, ours.Ours | metallb.MetalLb)]


def sample(
    place: world.World, one: contender.Contender, number: int, *, asked_for_s: float = ASKED_FOR_S
) -> Sample:
    """Create one Service and see what comes of it; raises TimeoutError when that is nothing."""
    address, body = manifest(one, number)
    with place.wire.ask([address], every_s=EVERY_S) as seen:
        mine = isinstance(one, ours.Ours)
        try:
            created, child_at = asyncio.run(_create(place.lab, body, until_child=mine))
        except TimeoutError:
            raise TimeoutError(
                f"{address} has no child Service after {CHILD_WITHIN_S:g} s"
            ) from None
        time.sleep(asked_for_s)
    if seen[0].first_answer is None:
        raise TimeoutError(f"nobody answered for {address} within {asked_for_s} s")
    return Sample(
        answer_ms=round((seen[0].first_answer - created) * 1000, 1),
        child_ms=None if child_at is None else round((child_at - created) * 1000, 1),
    )


async def _create(
    lab: inside.Lab, body: contender.Json, *, until_child: bool
) -> tuple[float, float | None]:
    """Create it over a connection that stands; return when that was and when its child came."""
    created = 0.0
    async with (
        api.Api.from_kubeconfig(lab.kubeconfig, user_agent="bench") as calls,
        asyncio.timeout(CHILD_WITHIN_S),
    ):
        selector = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
        async with contextlib.aclosing(calls.watch(SERVICES, label_selector=selector)) as changes:
            async for change in changes:
                if isinstance(change, api.Listed):
                    created = time.time()
                    await calls.create(SERVICES, body)
                    if not until_child:
                        return created, None
                elif created and change.type == "ADDED":
                    return created, time.time()
    raise errors.LabError("a watch ended, which it never does")


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Create Services one after another, the contenders taking turns, the others at rest."""
    probe = release.value(place.lab, "speaker", "probe")
    what = f"{ANSWER} {probe}"
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        competing = able(everybody)
        taken: dict[str, list[Sample]] = {one.name: [] for one in competing}
        count = options.samples(SAMPLES)
        for first in range(1, count + 1, IN_A_ROW):
            for one in competing:
                if one.missing is not None:
                    continue
                with place.alone(one, everybody):
                    for number in range(first, min(first + IN_A_ROW, count + 1)):
                        taken[one.name].append(sample(place, one, number))
                        scenario.say(f"{number}, {one.name}: {taken[one.name][-1]}")
        for one in competing:
            if one.missing is not None:
                rows.append(report.Row.missing(what, one.name, one.missing))
                continue
            answers = tuple(each.answer_ms for each in taken[one.name])
            if not isinstance(one, ours.Ours):
                rows.append(report.Row(what, one.name, "ms", answers))
                continue
            children = tuple(each.child_ms for each in taken[one.name] if each.child_ms is not None)
            after = tuple(
                round(answer - child, 1) for answer, child in zip(answers, children, strict=True)
            )
            bars = (report.Bar("median", BARS_MS[probe]),)
            rows += [
                report.Row(what, one.name, "ms", answers, bars=bars),
                report.Row("create to child Service", one.name, "ms", children),
                report.Row(f"child Service to first answer, probe {probe}", one.name, "ms", after),
            ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("announce", __doc__, run, arguments)
