# SPDX-License-Identifier: MIT
"""What the API server holds of a resource, kept up to date, and who wants to know of changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from lab import api
from lab.api import Json
from lab.metacontroller import objects
from lab.metacontroller.discovery import Discovery, Resource

log = logging.getLogger(__name__)

# Gets what was and what is: the first is None for a new object, the second for one that is
# gone; both are the same for one that is only brought to mind again.
Handler = Callable[[Json | None, Json | None], Awaitable[None]]

# A watch waits while that many changes are still being told. The real one has no limit.
UNTOLD_LIMIT = 10_000


class Informer:
    """All objects of one resource, by key, and an index of who owns them.

    The handlers are called one after another, each change after the last, so a
    slow one holds up all: that is how the real one goes, and what a slow
    customize hook is made to feel. The objects are not to be changed.
    """

    def __init__(self, server: api.Api, resource: Resource) -> None:
        self.resource = resource
        self.is_listed = False
        self.listed = asyncio.Event()
        self._server = server
        self._objects: dict[str, Json] = {}
        self._by_owner: dict[str | None, dict[str, Json]] = {}
        self._handlers: list[Handler] = []
        self._untold: asyncio.Queue[tuple[tuple[Handler, ...], Json | None, Json | None]]
        self._untold = asyncio.Queue(UNTOLD_LIMIT)

    def get(self, key: str) -> Json | None:
        """Return the object of that key."""
        return self._objects.get(key)

    def all(self) -> tuple[Json, ...]:
        """Return all objects."""
        return tuple(self._objects.values())

    def owned_by(self, uid: str | None) -> tuple[Json, ...]:
        """Return the objects whose controller has that UID, or with None those without one."""
        return tuple(self._by_owner.get(uid, {}).values())

    async def subscribe(self, handler: Handler) -> None:
        """Call ``handler`` for what is known already, and then for each change."""
        self._handlers.append(handler)
        for obj in self.all():
            await self._untold.put(((handler,), obj, obj))

    def unsubscribe(self, handlers: Iterable[Handler]) -> None:
        """Call these no more, if they were called at all."""
        ended = list(handlers)
        self._handlers = [handler for handler in self._handlers if handler not in ended]

    async def watch(self) -> None:
        """Follow the API server, for ever."""
        async for item in self._server.watch(self.resource.path()):
            if isinstance(item, api.Listed):
                if not self.is_listed:
                    log.info("listed %s %s", len(self._objects), self.resource.plural)
                self.is_listed = True
                self.listed.set()
                continue
            key = objects.key(item.object)
            old = self._objects.get(key)
            new = None if item.type == "DELETED" else item.object
            self._store(key, old, new)
            # A deletion is told with the object's last state, the one that the event carries.
            told = (item.object, None) if new is None else (old, new)
            await self._untold.put((tuple(self._handlers), *told))

    async def tell(self) -> None:
        """Call the handlers, for ever."""
        while True:
            handlers, old, new = await self._untold.get()
            for handler in handlers:
                if handler in self._handlers:
                    await handler(old, new)

    def _store(self, key: str, old: Json | None, new: Json | None) -> None:
        if old is not None:
            self._by_owner[_owner(old)].pop(key, None)
            if not self._by_owner[_owner(old)]:
                del self._by_owner[_owner(old)]
            del self._objects[key]
        if new is not None:
            self._by_owner.setdefault(_owner(new), {})[key] = new
            self._objects[key] = new


def _owner(obj: Json) -> str | None:
    reference = objects.controller_of(obj)
    return None if reference is None else str(reference["uid"])


class Informers:
    """One informer a resource, shared by all controllers and kept for good."""

    def __init__(self, server: api.Api, discovery: Discovery, tasks: asyncio.TaskGroup) -> None:
        self._server = server
        self._discovery = discovery
        self._tasks = tasks
        self._informers: dict[Resource, Informer] = {}

    async def of(self, api_version: str, plural: str) -> Informer:
        """Return the informer of a resource; raises NotServedError."""
        resource = await self._discovery.resource(api_version, plural)
        informer = self._informers.get(resource)
        if informer is None:
            informer = self._informers[resource] = Informer(self._server, resource)
            self._tasks.create_task(informer.watch(), name=f"watch {plural}")
            self._tasks.create_task(informer.tell(), name=f"tell {plural}")
        return informer
