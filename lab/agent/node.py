# SPDX-License-Identifier: MIT
"""The agent of one node: what a kubelet does, as far as a lab needs it."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import httpx

from lab import api as kube
from lab.agent import clock as clocks
from lab.agent import container, host, identity, network, spec, worker

log = logging.getLogger(__name__)

LEASE_INTERVAL_S = 2.0  # a kubelet's is 10 s; a lab finds a node dead after 10 s, not 50
STATUS_INTERVAL_S = 300.0  # its nodeStatusReportFrequency
STATUS_CHECK_S = 2.0  # its nodeStatusUpdateFrequency is 10 s; faster, for the same reason
RETRY_S = 0.5
SHUTDOWN_MESSAGE = "stopped because its node shuts down"


class NodeAgent:
    """Registers a Node and runs the Pods bound to it, as processes.

    ``netns`` is the node's network namespace, ``addresses`` its InternalIPs,
    ``pod_subnets`` the subnets of its Pods, of which the first address is the
    node's own side. ``images`` says which image references are programs of
    ours; a container of any other image is an echo server. ``hosts`` are names,
    each with its address, that containers of ours know besides those of
    Services. The files of Pods and of hostPath volumes are kept below
    ``directory``, a log a container in ``logs``.
    """

    def __init__(
        self,
        *,
        name: str,
        netns: str,
        addresses: tuple[str, ...],
        pod_subnets: tuple[str, ...],
        api: kube.Api,
        directory: Path,
        images: Mapping[str, spec.Image],
        labels: Mapping[str, str] | None = None,
        hosts: Mapping[str, str] | None = None,
        logs: Path | None = None,
        lease_interval_s: float = LEASE_INTERVAL_S,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._api = api
        self._clock = clock or clocks.Clock()
        self._lease_interval_s = lease_interval_s
        self._identity = identity.Identity(
            name=name,
            addresses=addresses,
            pod_subnets=pod_subnets,
            labels=dict(labels or {}),
            boot=str(uuid.uuid4()),
            lease_duration_s=round(lease_interval_s * 4),
        )
        self._host = host.Host(
            name=name,
            netns=netns,
            addresses=addresses,
            api=api,
            directory=directory,
            logs=logs or directory / "logs",
            images=images,
            pods=network.PodNetwork(name, netns, pod_subnets),
            hosts=dict(hosts or {}),
            clock=self._clock,
        )
        self._workers: dict[str, worker.Worker] = {}
        self._shutting_down = False
        self._drained = asyncio.Event()

    async def run(self) -> None:
        """Register the Node and serve it until cancelled.

        Cancelled, everything it runs is killed, as by a loss of power. After
        :meth:`drain_and_stop` it does nothing more but wait for that.
        """
        await self._host.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve())
                await self._drained.wait()
                serving.cancel()
                await asyncio.Event().wait()
        finally:
            await asyncio.shield(self._host.close())

    async def drain_and_stop(self) -> None:
        """Shut the node down cleanly: report NotReady, stop the Pods with their grace.

        Pods of system-critical priority are stopped after all others.
        """
        self._shutting_down = True
        try:
            await self._report_status()
        except (httpx.TransportError, kube.ApiError) as error:
            log.info("%s: the shutdown was not reported: %r", self._host.name, error)
        for critical in (False, True):
            stopping = [w for w in self._workers.values() if w.pod.critical is critical]
            for pod in stopping:
                pod.shut_down("Terminated", SHUTDOWN_MESSAGE)
            await asyncio.gather(*(pod.ended.wait() for pod in stopping))
        self._drained.set()

    def programs(self) -> list[tuple[str, container.Keeper]]:
        """Return the containers that are programs of ours, each with its name in its Pod."""
        return [pair for pod in self._workers.values() for pair in pod.programs().items()]

    async def _serve(self) -> None:
        node = await self._insist(self._register)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew_lease(node["metadata"]["uid"]))
            tasks.create_task(self._report())
            tasks.create_task(self._host.events.run())
            if self._host.images:
                tasks.create_task(self._host.names.run())
            tasks.create_task(self._follow_pods(tasks))

    async def _insist(self, call: Callable[[], Coroutine[Any, Any, kube.Json]]) -> kube.Json:
        """Call until it succeeds; what the API server refuses for good is raised."""
        while True:
            try:
                return await call()
            except (httpx.TransportError, kube.ApiError) as error:
                if isinstance(error, kube.ApiError) and error.status in (401, 422):
                    raise
                log.info("%s: trying again: %r", self._identity.name, error)
            await self._clock.sleep(RETRY_S)

    async def _register(self) -> kube.Json:
        body = self._identity.node()
        try:
            await self._api.create("/api/v1/nodes", body, fieldManager="kubelet")
        except kube.ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        known = {key: body["metadata"][key] for key in ("labels", "annotations")}
        await self._api.patch(
            self._identity.path, {"metadata": known}, kind="strategic", fieldManager="kubelet"
        )
        return await self._report_status(first=True)

    async def _report_status(self, *, first: bool = False, always: bool = True) -> kube.Json:
        """Write the status; unless ``always``, only if the Node says something else of us.

        It does when this node was thought to be lost, and another wrote that.
        """
        node = await self._api.get(self._identity.path)
        status = self._identity.status(
            node.get("status") or {},
            self._clock.now(),
            shutting_down=self._shutting_down,
            first=first,
        )
        if not always and identity.says(node, status):
            return node
        return await self._api.patch(
            f"{self._identity.path}/status",
            {"status": status},
            kind="strategic",
            fieldManager="kubelet",
        )

    async def _report(self) -> None:
        while True:
            last = self._clock.monotonic()
            while self._clock.monotonic() - last < STATUS_INTERVAL_S:
                await self._clock.sleep(STATUS_CHECK_S)
                await self._insist(lambda: self._report_status(always=False))
            await self._insist(self._report_status)

    async def _renew_lease(self, node_uid: str) -> None:
        lease: kube.Json | None = None
        while True:
            body = self._identity.lease(node_uid, self._clock.now(), lease)
            try:
                if lease is None:
                    lease = await self._api.create(identity.LEASES, body)
                else:
                    lease = await self._api.update(f"{identity.LEASES}/{self._host.name}", body)
            except (httpx.TransportError, kube.ApiError) as error:
                log.info("%s: the lease was not renewed: %r", self._host.name, error)
                with contextlib.suppress(httpx.TransportError, kube.ApiError):
                    lease = await self._api.get(f"{identity.LEASES}/{self._host.name}")
                await self._clock.sleep(RETRY_S)
            else:
                await self._clock.sleep(self._lease_interval_s)

    async def _follow_pods(self, tasks: asyncio.TaskGroup) -> None:
        watch = self._api.watch(
            "/api/v1/pods", field_selector=f"spec.nodeName={self._identity.name}"
        )
        async with contextlib.aclosing(watch):
            async for event in watch:
                if isinstance(event, kube.Event):
                    self._follow(event, tasks)

    def _follow(self, event: kube.Event, tasks: asyncio.TaskGroup) -> None:
        uid = event.object["metadata"]["uid"]
        known = self._workers.get(uid)
        if event.type == "DELETED":
            if known is not None:
                known.vanished()
        elif known is not None:
            known.update(event.object)
        elif not self._shutting_down:
            started = worker.Worker(self._host, event.object)
            self._workers[uid] = started
            tasks.create_task(self._run(uid, started))

    async def _run(self, uid: str, started: worker.Worker) -> None:
        try:
            await started.run()
        finally:
            self._workers.pop(uid, None)
