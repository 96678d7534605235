# SPDX-License-Identifier: MIT
"""Events on the user's Service: its address moved, or somebody else has it.

Best effort: a bounded queue, drained slowly, and what does not fit or fails is lost and counted.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from contract import move, pool
from speaker.cluster import api, view

QUEUE: Final = 100
EVERY_S: Final = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """What is to be said of an address; `warns` tells what needs a person from what does not."""

    address: pool.Address
    reason: str
    message: str
    warns: bool


class Notices:
    """The Events that are to come. `lost` counts those that never will."""

    def __init__(
        self, cluster: api.Api, node: str, children: Callable[[], Iterable[view.KnownChild]]
    ) -> None:
        self._api = cluster
        self._node = node
        self._children = children
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(QUEUE)
        self.lost = 0

    def add(self, notice: Notice) -> None:
        """Say this as soon as there is time."""
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self.lost += 1

    async def run(self) -> NoReturn:
        """Write Events for ever."""
        while True:
            notice = await self._queue.get()
            for known in list(self._children()):
                if known.child.address == notice.address:
                    await self._write(notice, known)
                    await asyncio.sleep(EVERY_S)

    async def _write(self, notice: Notice, known: view.KnownChild) -> None:
        event = manifest(notice, known, node=self._node, now=dt.datetime.now(dt.UTC))
        try:
            await self._api.create(f"/api/v1/namespaces/{known.child.namespace}/events", event)
        except api.ApiError:
            self.lost += 1


def manifest(
    notice: Notice, known: view.KnownChild, *, node: str, now: dt.datetime
) -> dict[str, Any]:
    """Return the Event (core/v1) on the user's Service."""
    child = known.child
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{child.service[:50]}-", "namespace": child.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Service",
            "name": child.service,
            "namespace": child.namespace,
            "uid": child.service_uid,
        },
        "reason": notice.reason,
        "message": notice.message,
        "type": "Warning" if notice.warns else "Normal",
        "action": notice.reason,
        "source": {"component": move.COMPONENT, "host": node},
        "reportingComponent": move.COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
