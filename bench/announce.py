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
import time
from collections.abc import Sequence
from typing import Final

from bench.common import report, scenario, world
from bench.rivals import contender, metallb, ours
from contract import names
from lab import api, errors, inside, release

EVERY_S: Final = 0.002
ASKED_FOR_S: Final = 2.0
CHILD_WITHIN_S: Final = 30.0
ANSWER: Final = "create to first answer"
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


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Milliseconds from the creation to the first answer, and to the child where there is one."""

    answer_ms: float
    child_ms: float | None


def sample(place: world.World, one: contender.Contender, number: int) -> Sample:
    """Create one Service and see what comes of it."""
    address, body = manifest(one, number)
    with place.wire.ask([address], every_s=EVERY_S) as seen:
        mine = isinstance(one, ours.Ours)
        created, child_at = asyncio.run(_create(place.lab, body, until_child=mine))
        time.sleep(ASKED_FOR_S)
    if seen[0].first_answer is None:
        raise TimeoutError(f"nobody answered for {address} within {ASKED_FOR_S} s")
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
    """Create Services one after another, the contenders taking turns."""
    probe = release.value(place.lab, "speaker", "probe")
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        able = [one for one in everybody if isinstance(one, ours.Ours | metallb.MetalLb)]
        taken: dict[str, list[Sample]] = {one.name: [] for one in able}
        for number in range(1, options.samples(30) + 1):
            for one in able:
                if one.missing is None:
                    taken[one.name].append(sample(place, one, number))
                    scenario.say(f"{number}, {one.name}: {taken[one.name][-1]}")
        for one in able:
            if one.missing is not None:
                rows.append(report.Row.missing(ANSWER, one.name, one.missing))
                continue
            answers = tuple(each.answer_ms for each in taken[one.name])
            if not isinstance(one, ours.Ours):
                rows.append(report.Row(ANSWER, one.name, "ms", answers))
                continue
            children = tuple(each.child_ms for each in taken[one.name] if each.child_ms is not None)
            after = tuple(
                round(answer - child, 1) for answer, child in zip(answers, children, strict=True)
            )
            bars = (report.Bar("median", BARS_MS[probe]),)
            note = f"the probe for strangers is {probe}"
            rows += [
                report.Row(ANSWER, one.name, "ms", answers, bars=bars, note=note),
                report.Row("create to child Service", one.name, "ms", children),
                report.Row("child Service to first answer", one.name, "ms", after),
            ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("announce", __doc__, run, arguments)
