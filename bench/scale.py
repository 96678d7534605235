# SPDX-License-Identifier: MIT
"""Through Metacontroller: how long a Service waits for its addresses, and what rest costs.

Everything runs on this machine: API server, etcd, Metacontroller, webhook, and a speaker and a
kube-proxy a node, which announce and program all addresses. So it is slower than a cluster whose
control plane has a machine of its own. Every Service has three IPv6 addresses. A creation is timed
from just before the request until the watch shows the last child, and the status with all three.
"""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench import requests
from bench.common import machine, report, scenario, services, world
from lab import inside, release

SIZES: Final = (0, 100, 300, 500)
QUICK_SIZES: Final = (0, 20)
BUSY_AT: Final = 300  # the size at which the churn, the outage and the rest are measured
SAMPLES: Final = 15
BETWEEN_S: Final = 1.0  # without a write, before the next sample
SETTLED_S: Final = 10.0  # without a write: speakers tell later, and paced, what they announce
FAILED_BACK_S: Final = 45.0  # without a write: what has moved goes back after 30 s
CHURN: Final = 50
CHURN_S: Final = 10.0
OUTAGE_S: Final = 60.0
QUICK_OUTAGE_S: Final = 5.0
TOUCHED: Final = 10  # Services created, deleted and changed while the webhook is away
REST_S: Final = 300.0
QUICK_REST_S: Final = 20.0
MANY_NODES: Final = 100
REPORT_EVERY_S: Final = 300.0  # a kubelet's nodeStatusReportFrequency
LABEL: Final = "bench/scale"
WHO: Final = "l2-load-balancer"
# What their command lines hold: one of these.
WEBHOOK: Final = ("-m\0app\0",)
METACONTROLLER: Final = ("-m\0lab.metacontroller\0", "metacontroller\0-client-go-qps")
SYNCS: Final = 'l2lb_hook_calls_total{hook="balancer_sync",outcome="ok"} '

TO_CHILDREN_AT_100: Final = (report.Bar("median", 0.25),)
REPAIR: Final = (report.Bar("worst", 30.0),)
NO_WRITES: Final = (report.Bar("worst", 0.0),)


@dataclasses.dataclass(slots=True)
class Bench:
    """The steps, each of which leaves as many Services as it found."""

    lab: inside.Lab
    services: services.Services
    options: scenario.Options
    rows: list[report.Row] = dataclasses.field(default_factory=list)
    created: int = 0

    async def run(self) -> None:
        """Measure everything."""
        sizes = QUICK_SIZES if self.options.quick else SIZES
        busy_at = sizes[-1] if self.options.quick else BUSY_AT
        for size in sizes:
            await self.grow(size)
            await self.latency()
            if size == busy_at:
                await self.churn()
                await self.outage()
                await self.rest()
        await self.many_nodes()

    async def grow(self, size: int) -> None:
        """Have so many Services, asked for as fast as the API server takes them."""
        missing = size - len(self.services.states)
        if missing:
            before = len(self.services.states)
            scenario.say(f"from {before} to {size} Services ...")
            what = f"{missing} Services at once, beside {before}"
            self._row(f"{what}: until all are right", [await self._timed_growth(missing)])
            # Metacontroller has still to look at every change that the speakers have written.
            (name,) = self._names(1)
            state = await one_more(self.services, name)
            self._row(f"{what}: create to 3 children of the next", [state.children_s])
        await self.services.quiet(SETTLED_S)

    async def _timed_growth(self, missing: int) -> float:
        began = asyncio.get_running_loop().time()
        await self.services.create_many(self._names(missing))
        await self.services.right()
        return asyncio.get_running_loop().time() - began

    async def latency(self, among: str = "") -> None:
        """Create one Service after another, each in a cluster at rest."""
        size = len(self.services.states)
        what = f"beside {size}{among}"
        scenario.say(f"create -> children -> status {what} ...")
        samples, syncs, spent = [], [], []
        metacontroller = process_ids(*METACONTROLLER)
        for name in self._names(self.options.samples(SAMPLES, 3)):
            before = self._syncs(), machine.cpu_s(metacontroller)
            samples.append(await one_more(self.services, name))
            await self.services.quiet(BETWEEN_S)
            syncs.append(self._syncs() - before[0])
            spent.append(machine.cpu_s(metacontroller) - before[1])
        bars = TO_CHILDREN_AT_100 if size == BUSY_AT // 3 else ()
        self._row(f"{what}: create to 3 children", [s.children_s for s in samples], bars)
        self._row(f"{what}: create to status", [s.shown_s for s in samples])
        # A busy machine changes these little.
        self._row(f"{what}: balancer syncs to create and delete one", syncs, unit="")
        self._row(f"{what}: Metacontroller's CPU to create and delete one", spent)

    async def churn(self) -> None:
        """Create and delete many within seconds."""
        scenario.say(f"{CHURN} created and deleted within {CHURN_S:.0f} s ...")
        fresh = list(self._names(CHURN))
        pause_s = CHURN_S / 2 / CHURN
        standing = await self._addresses()
        for name in fresh:
            await asyncio.gather(self.services.create(name), asyncio.sleep(pause_s))
        for name in fresh:
            await asyncio.gather(self.services.delete(name), asyncio.sleep(pause_s))
        size = len(self.services.states)
        what = f"{CHURN} created and deleted within {CHURN_S:.0f} s beside {size}"
        self._row(f"{what}: until all is right", [await self.services.right()], REPAIR)
        await self.services.quiet(BETWEEN_S)
        self._moved(what, standing, await self._addresses())

    async def outage(self) -> None:
        """Change Services while the webhook is away, and see how long the repair takes."""
        away_s = QUICK_OUTAGE_S if self.options.quick else OUTAGE_S
        scenario.say(f"the webhook is away for {away_s:.0f} s ...")
        standing = await self._addresses()
        oldest = sorted(self.services.states)
        deleted, recounted = oldest[:TOUCHED], oldest[TOUCHED : 2 * TOUCHED][: len(oldest) // 2]
        await asyncio.to_thread(self.lab.change, "process", "kill", "webhook")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(away_s))
            for name in self._names(len(deleted)):
                tasks.create_task(self.services.create(name))
            for name in deleted:
                tasks.create_task(self.services.delete(name))
            for name in recounted:
                tasks.create_task(self.services.recount(name, services.COUNT - 1))
        await asyncio.to_thread(self.lab.change, "process", "start", "webhook")
        what = f"after {away_s:.0f} s without webhook, beside {len(oldest)}"
        self._row(f"{what}: until all is right", [await self.services.right()], REPAIR)
        for name in recounted:
            await self.services.recount(name, services.COUNT)
        await self.services.right()
        await self.services.quiet(BETWEEN_S)
        untouched = {n: a for n, a in standing.items() if n not in {*deleted, *recounted}}
        self._moved(what, untouched, await self._addresses())

    async def rest(self) -> None:
        """Count writes and processor time while nobody wants anything."""
        seconds = QUICK_REST_S if self.options.quick else REST_S
        size = len(self.services.states)
        await self.services.quiet(FAILED_BACK_S)
        scenario.say(f"at rest for {seconds:.0f} s ...")
        version = await self._balancer_version()
        writes = self.services.writes
        await self._cost(f"{size} Services at rest", seconds)
        changed = self.services.writes - writes + (await self._balancer_version() != version)
        self._row(f"{size} Services, {seconds:.0f} s at rest: writes", [changed], NO_WRITES, "")

    async def many_nodes(self) -> None:
        """Let many Nodes report as kubelets do; the lab's own are among them."""
        seconds = QUICK_REST_S if self.options.quick else REST_S
        present = len(self.lab.nodes())
        nodes = [f"kubelet-{number:03}" for number in range(MANY_NODES - present)]
        scenario.say(f"{len(nodes)} more Nodes ...")
        for name in nodes:
            await self.services.client.create("/api/v1/nodes", _node(name))
        await self.services.quiet(FAILED_BACK_S)
        writes = self.services.writes
        reporting = asyncio.create_task(self._report(nodes))
        what = f"{len(self.services.states)} Services, {MANY_NODES} Nodes that report"
        try:
            await self._cost(what, seconds)
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])
        written = self.services.writes - writes
        self._row(f"{what}, {seconds:.0f} s at rest: writes", [written], NO_WRITES, "")
        await self.latency(f", among {MANY_NODES} Nodes")

    async def _report(self, nodes: Sequence[str]) -> None:
        """Write one status after another, each Node's every five minutes, for ever."""
        turn = 0
        while True:
            name = nodes[turn % len(nodes)]
            condition = {"type": "Reporting", "status": "True", "reason": f"Turn{turn}"}
            path = f"/api/v1/nodes/{name}/status"
            body = {"status": {"conditions": [condition]}}
            await self.services.client.patch(path, body, kind="strategic")
            turn += 1
            await asyncio.sleep(REPORT_EVERY_S / MANY_NODES)

    async def _cost(self, what: str, seconds: float) -> None:
        """Let time pass, and tell what the two programs used of a core."""
        ids = {
            "webhook": process_ids(*WEBHOOK),
            "Metacontroller": process_ids(*METACONTROLLER),
        }
        before = {name: machine.cpu_s(found) for name, found in ids.items()}
        await asyncio.sleep(seconds)
        for name, found in ids.items():
            percent = (machine.cpu_s(found) - before[name]) / seconds * 100
            self._row(f"{what}: {name}, CPU of a core", [round(percent, 2)], unit="%")
            megabytes = round(machine.resident_mb(found), 1)
            self._row(f"{what}: {name}, resident", [megabytes], unit="MB")

    def _syncs(self) -> float:
        """Return how many balancer syncs the webhook has answered since it started."""
        lines = "\n".join(release.webhook_pages(self.lab, "metrics")).splitlines()
        return sum(float(line.removeprefix(SYNCS)) for line in lines if line.startswith(SYNCS))

    async def _addresses(self) -> dict[str, list[str]]:
        listed = await self.services.client.get("/api/v1/services")
        return {
            item["metadata"]["name"]: [
                entry["ip"] for entry in item["status"]["loadBalancer"].get("ingress", ())
            ]
            for item in listed["items"]
            if item["metadata"]["name"] in self.services.states
        }

    async def _balancer_version(self) -> str:
        path = f"/apis/l2lb.io/v1alpha1/l2loadbalancers/{services.BALANCER}"
        version: str = (await self.services.client.get(path))["metadata"]["resourceVersion"]
        return version

    def _moved(self, what: str, before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
        moved = sum(after[name] != addresses for name, addresses in before.items())
        self._row(f"{what}: other Services whose addresses changed", [moved], NO_WRITES, "")

    def _names(self, count: int) -> Iterable[str]:
        for _ in range(count):
            self.created += 1
            yield f"web-{self.created}"

    def _row(
        self,
        what: str,
        samples: Sequence[float],
        bars: tuple[report.Bar, ...] = (),
        unit: str = "s",
    ) -> None:
        rounded = tuple(round(sample, 3) for sample in samples)
        self.rows.append(report.Row(what, WHO, unit, rounded, bars))
        scenario.say(report.table(self.rows[-1:]).partition("\n")[2])


async def one_more(made: services.Services, name: str) -> services.State:
    """Create a Service, wait until it shows its addresses, and delete it."""
    state = await made.create(name)
    await made.shown(state)
    await made.right()
    await made.delete(name)
    await made.right()
    return state


def process_ids(*words: str) -> list[int]:
    """Return the processes whose command line holds one of these, and their children."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            line = (folder / "cmdline").read_bytes().decode(errors="replace")
            if any(word in line for word in words):
                found.append(int(folder.name))
    for process in found:  # grows while it is read
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
        found.extend(child for child in map(int, children.split()) if child not in found)
    return found


def _node(name: str) -> services.Json:
    """Return a Node that the controller manager takes for long gone, and leaves alone."""
    node = requests.node(name, labels={LABEL: ""})
    for field in ("creationTimestamp", "managedFields", "resourceVersion", "uid"):
        del node["metadata"][field]
    node["status"]["conditions"] = [
        {"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown"}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    return node


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Measure on all nodes of the lab."""
    place.lab.kubectl("label", "node", "--all", f"{LABEL}=")

    async def measured() -> list[report.Row]:
        async with services.followed(place.lab, {LABEL: ""}) as made:
            bench = Bench(place.lab, made, options)
            try:
                await bench.run()
            except TimeoutError as error:  # what was measured until then is told all the same
                bench.rows.append(report.Row.missing("the rest", WHO, str(error)))
            return bench.rows

    return asyncio.run(measured())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("scale", __doc__, run, arguments)
