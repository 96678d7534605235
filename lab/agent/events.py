# SPDX-License-Identifier: MIT
"""Telling the cluster what happens to a Pod, as Events that kubectl shows."""

import asyncio
import logging
import uuid
from typing import Any

import httpx

from lab import api as kube
from lab.agent import clock as clocks
from lab.agent import spec

log = logging.getLogger(__name__)

MAX_WAITING = 100
MAX_REMEMBERED = 1000
QUIET_S = 10.0  # the same trouble of the same Pod is not told again so soon

Json = dict[str, Any]


class Recorder:
    """Posts Events one after the other; when too many wait, the newest is only logged."""

    def __init__(self, node: str, api: kube.Api, clock: clocks.Clock) -> None:
        self._node = node
        self._api = api
        self._clock = clock
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(MAX_WAITING)
        self._told: dict[tuple[str, str], float] = {}

    def warn(self, pod: spec.Pod, reason: str, message: str) -> None:
        """Record that something is wrong with a Pod."""
        log.info("%s %s/%s: %s: %s", self._node, pod.namespace, pod.name, reason, message)
        now, trouble = self._clock.monotonic(), (pod.uid, reason)
        if self._waiting.full() or now - self._told.get(trouble, -QUIET_S) < QUIET_S:
            return
        self._told.pop(trouble, None)
        self._told[trouble] = now
        if len(self._told) > MAX_REMEMBERED:
            del self._told[next(iter(self._told))]
        self._waiting.put_nowait(self._event(pod, reason, message))

    async def run(self) -> None:
        """Post what is recorded, for ever; an Event that is refused is only logged."""
        while True:
            event = await self._waiting.get()
            path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
            try:
                await self._api.create(path, event)
            except (httpx.TransportError, kube.ApiError) as error:
                log.info("%s: an Event was not recorded: %r", self._node, error)

    def _event(self, pod: spec.Pod, reason: str, message: str) -> Json:
        now = spec.timestamp(self._clock.now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": pod.namespace, "name": f"{pod.name}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": pod.namespace,
                "name": pod.name,
                "uid": pod.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "kubelet", "host": self._node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
