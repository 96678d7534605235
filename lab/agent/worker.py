# SPDX-License-Identifier: MIT
"""The life of one Pod on its node, from binding to removal."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

import httpx

from lab import api as kube
from lab import errors
from lab.agent import container, host, network, runtime, spec, status

log = logging.getLogger(__name__)

Json = dict[str, Any]

RETRY_S = 1.0
LAST_WORDS_S = 5.0  # how long a node that shuts down tries to report a Pod's end
LOST = 255  # the exit status of a container whose end nobody saw


class Worker:
    """Runs one Pod; ``update`` and its kin tell what became of it in the API."""

    def __init__(self, on: host.Host, pod: Json) -> None:
        self._host = on
        self._unsupported = ""
        try:
            self.pod = spec.parse(pod)
        except spec.UnsupportedError as error:
            self._unsupported = str(error)
            self.pod = spec.parse({**pod, "spec": {**pod["spec"], "containers": []}})
        self.ended = asyncio.Event()
        self._stop = container.Stop()
        self._gone = False
        self._running: runtime.Runtime | None = None
        self._status: Json = pod.get("status") or {}
        self._whole = status.Whole(on.clock.now(), on.addresses)
        self._inits: dict[str, status.Container] = {}
        self._containers: dict[str, status.Container] = {}
        self._keepers: dict[str, container.Keeper] = {}
        self._changed = asyncio.Event()
        self._written: Json = {}
        if self.pod.deleted:
            self._stop.request(self.pod.deletion_grace_s)

    def update(self, pod: Json) -> None:
        """Take note of a change; of what may change, a deletion matters most."""
        self._status = pod.get("status") or {}
        metadata = pod["metadata"]
        self.pod = replace(
            self.pod,
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            deleted="deletionTimestamp" in metadata,
        )
        self._changed.set()
        if self._running is not None:
            self._running.refresh()
        if self.pod.deleted:
            self._stop.request(metadata.get("deletionGracePeriodSeconds") or 0)

    def vanished(self) -> None:
        """Take note that the Pod is no more in the API: it ends at once."""
        self._gone = True
        self._stop.force()

    def shut_down(self, reason: str, message: str) -> None:
        """Stop the Pod because its node stops; it stays in the API, as failed."""
        self._whole = replace(self._whole, reason=reason, message=message)
        self._stop.request(self.pod.grace_s)

    def programs(self) -> dict[str, container.Keeper]:
        """Return its containers that are programs of ours, by name, but for one-time ones."""
        return {
            wanted.name: self._keepers[wanted.name]
            for wanted in self.pod.containers
            if wanted.image in self._host.images and wanted.name in self._keepers
        }

    async def run(self) -> None:
        """Live, stop when told to, and remove the Pod from the API if it is deleted."""
        try:
            if self.pod.finished:
                await self._stop.requested.wait()
            else:
                async with asyncio.TaskGroup() as tasks:
                    reporting = tasks.create_task(self._report())
                    await self._live()
                    await self._stop.requested.wait()
                    reporting.cancel()
            await self._finish()
        finally:
            self.ended.set()

    async def _live(self) -> None:
        self._restore()
        self._changed.set()
        if self._unsupported:
            self._host.events.warn(self.pod, "Unsupported", self._unsupported)
            await self._stop.requested.wait()
            return
        if self.pod.host_network:
            addresses = self._host.addresses
            await self._contain(self._host.netns, addresses)
            return
        place = await self._connect()
        if place is None:
            return
        await self._contain(place.netns, tuple(str(address) for address in place.addresses))
        await self._host.pods.destroy(place)

    def _restore(self) -> None:
        """Take over from the Pod's status what an earlier life of this node did for it."""
        now = self._host.clock.now()
        lost = status.Terminated(LOST, None, now, "the node stopped while the container ran")
        before = {c["name"]: c for c in self._status.get("containerStatuses") or ()}
        for wanted in self.pod.containers:
            restarts = before.get(wanted.name, {}).get("restartCount", 0)
            ran = bool(before.get(wanted.name, {}).get("containerID"))
            self._containers[wanted.name] = status.Container(
                last=lost if ran else None, restarts=restarts
            )
        for wanted in self.pod.init_containers:
            self._inits[wanted.name] = status.Container(status.Waiting("PodInitializing"))

    async def _connect(self) -> network.Place | None:
        while not self._stop.requested.is_set():
            try:
                return await self._host.pods.create()
            except errors.LabError as error:
                self._host.events.warn(self.pod, "FailedCreatePodSandBox", str(error))
            await self._pause()
        return None

    async def _contain(self, netns: str, addresses: tuple[str, ...]) -> None:
        """Run the containers, to their end or the Pod's."""
        self._whole = replace(self._whole, addresses=addresses)
        async with asyncio.TaskGroup() as tasks:
            self._running = runtime.Runtime(
                self._host, lambda: self.pod, netns=netns, addresses=addresses, tasks=tasks
            )
            if await self._prepare(self._running):
                await self._run_containers(self._running)
            self._running.close()

    async def _prepare(self, running: runtime.Runtime) -> bool:
        """Fill the volumes; return whether that succeeded before the Pod is to stop."""
        while not self._stop.requested.is_set():
            try:
                await running.prepare()
            except container.CannotStartError as error:
                self._host.events.warn(self.pod, error.reason, str(error))
            except (kube.ApiError, httpx.TransportError) as error:
                log.info("volumes of %s: trying again: %r", self.pod.path, error)
            else:
                return True
            await self._pause()
        return False

    async def _run_containers(self, running: runtime.Runtime) -> None:
        for wanted in self.pod.init_containers:
            if not await self._keeper(wanted, running, self._inits, once=True).run():
                return
        self._whole = replace(self._whole, initialized=True)
        async with asyncio.TaskGroup() as tasks:
            for wanted in self.pod.containers:
                keeper = self._keeper(wanted, running, self._containers, once=False)
                self._keepers[wanted.name] = keeper
                tasks.create_task(keeper.run())

    def _keeper(
        self,
        wanted: spec.Container,
        running: runtime.Runtime,
        states: dict[str, status.Container],
        *,
        once: bool,
    ) -> container.Keeper:
        def note(state: status.Container) -> None:
            states[wanted.name] = state
            self._changed.set()

        def warn(reason: str, message: str) -> None:
            self._host.events.warn(self.pod, reason, f"{wanted.name}: {message}")

        return container.Keeper(
            wanted,
            self.pod,
            runtime=running,
            clock=self._host.clock,
            stop=self._stop,
            state=states[wanted.name],
            on_change=note,
            report=warn,
            once=once,
        )

    async def _report(self) -> None:
        """Write the status whenever it changed, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._write()
            except (httpx.TransportError, kube.ApiError) as error:
                log.info("the status of %s was not written: %r", self.pod.path, error)
                await self._host.clock.sleep(RETRY_S)
                self._changed.set()

    async def _write(self) -> None:
        if self._gone:
            return
        whole = replace(
            self._whole,
            init_containers=dict(self._inits),
            containers=dict(self._containers),
            stopped=self._stop.requested.is_set(),
        )
        built = status.build(self.pod, whole, self._status, self._host.clock.now())
        if built == self._written:
            return
        body = {"metadata": {"uid": self.pod.uid}, "status": built}
        try:
            answer = await self._host.api.patch(
                f"{self.pod.path}/status", body, kind="strategic", fieldManager="kubelet"
            )
        except kube.ApiError as error:
            if error.status not in (404, 409):  # gone, or another Pod of that name
                raise
            self.vanished()
            return
        self._status = answer.get("status") or {}
        self._written = built

    async def _finish(self) -> None:
        """Say the last word about the Pod."""
        patience_s = LAST_WORDS_S if self._whole.reason else None
        try:
            async with asyncio.timeout(patience_s):
                while not self._gone:
                    try:
                        if not self.pod.finished:
                            await self._write()
                        if self.pod.deleted and not self._gone:
                            await self._remove()
                    except (httpx.TransportError, kube.ApiError) as error:
                        log.info("the end of %s was not reported: %r", self.pod.path, error)
                        await self._host.clock.sleep(RETRY_S)
                    else:
                        return
        except TimeoutError:
            log.warning("the end of %s was never reported", self.pod.path)

    async def _remove(self) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod.uid}}
        try:
            await self._host.api.delete(self.pod.path, options=options)
        except kube.ApiError as error:
            if error.status not in (404, 409):
                raise

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(RETRY_S):
                await self._stop.requested.wait()
        except TimeoutError:
            pass
