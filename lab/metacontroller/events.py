# SPDX-License-Identifier: MIT
"""Events as a client-go recorder writes them: counted when they repeat, and not too many."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Literal

import httpx

from lab import api
from lab.api import Json
from lab.metacontroller import objects

log = logging.getLogger(__name__)

EventType = Literal["Normal", "Warning"]

COMPONENT = "metacontroller"

# Metacontroller's defaults for one object: so many at once, then one in five minutes.
BURST = 25
REFILL_S = 300.0

WAITING_LIMIT = 1000
REMEMBERED_LIMIT = 4096


class Recorder:
    """Writes Events in the background; what the API server refuses is only logged.

    ``now`` returns seconds since the epoch.
    """

    def __init__(self, server: api.Api, now: Callable[[], float] = time.time) -> None:
        self._server = server
        self._now = now
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(WAITING_LIMIT)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._written: dict[tuple[str, str, str], Json] = {}

    def tell(self, about: Json, kind: EventType, reason: str, message: str) -> None:
        """Write an Event about an object soon, unless it has had too many."""
        if not self._may(objects.uid(about)):
            return
        event = self._event(about, kind, reason, message)
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("too many Events are waiting, this one is lost: %s", message)

    async def write(self) -> None:
        """Write what was told, for ever."""
        while True:
            event = await self._waiting.get()
            try:
                await self._write(event)
            except (api.ApiError, httpx.TransportError) as error:
                log.warning("an Event is lost (%s): %s", error, event["message"])

    def _may(self, uid: str) -> bool:
        now = self._now()
        tokens, since = self._buckets.pop(uid, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - since) / REFILL_S)
        self._buckets[uid] = (max(0.0, tokens - 1), now)
        if len(self._buckets) > REMEMBERED_LIMIT:
            del self._buckets[next(iter(self._buckets))]
        return tokens >= 1

    def _event(self, about: Json, kind: str, reason: str, message: str) -> Json:
        moment = dt.datetime.fromtimestamp(self._now(), dt.UTC)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = about["metadata"]
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{int(self._now() * 1e9):x}",
                "namespace": metadata.get("namespace") or "default",
            },
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }

    async def _write(self, event: Json) -> None:
        key = (event["involvedObject"]["uid"], event["reason"], event["message"])
        events = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        earlier = self._written.pop(key, None)
        if earlier is None:
            self._written[key] = await self._server.create(events, event)
        else:
            change = {"count": earlier["count"] + 1, "lastTimestamp": event["lastTimestamp"]}
            self._written[key] = await self._server.patch(
                f"{events}/{earlier['metadata']['name']}", change
            )
        if len(self._written) > REMEMBERED_LIMIT:
            del self._written[next(iter(self._written))]
