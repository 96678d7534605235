# SPDX-License-Identifier: MIT
"""What both kinds of controllers share: workers, resync, and what a failed sync leads to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from lab import api
from lab.api import Json
from lab.metacontroller import objects, writes
from lab.metacontroller.authorities import Clients
from lab.metacontroller.discovery import Discovery, Resource
from lab.metacontroller.errors import NotListedError, SyncError, TooManyRequestsError
from lab.metacontroller.events import Recorder
from lab.metacontroller.hooks import Hook
from lab.metacontroller.informers import Informer, Informers
from lab.metacontroller.related import Related
from lab.metacontroller.spec import Composite, Decorator, HookSpec
from lab.metacontroller.trace import Trace
from lab.metacontroller.workqueue import Clock, WorkQueue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every controller works with."""

    server: api.Api
    clients: Clients
    discovery: Discovery
    informers: Informers
    recorder: Recorder
    trace: Trace
    clock: Clock
    workers: int

    async def hook(self, controller: str, kind: str, spec: HookSpec) -> Hook:
        """Return a hook of a controller; raises :class:`SyncError` without its authority."""
        return Hook(
            await self.clients.of(spec.authority),
            name=f"{controller}/{kind}",
            url=spec.url,
            timeout_s=spec.timeout_s,
            trace=self.trace,
        )


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of one controller."""

    sync: Hook
    customize: Hook | None


async def hooks(surroundings: Surroundings, found: Composite | Decorator) -> Hooks:
    """Return the hooks of a controller; raises :class:`SyncError` without their authority."""
    sync = await surroundings.hook(found.name, "sync", found.sync)
    if found.customize is None:
        return Hooks(sync, None)
    return Hooks(sync, await surroundings.hook(found.name, "customize", found.customize))


def related(
    surroundings: Surroundings,
    found: Composite | Decorator,
    customize: Hook | None,
    parents: Informer,
    enqueue: Callable[[Json], None],
) -> Related:
    """Return what finds the related objects of a controller's parents."""
    return Related(
        controller=found.source,
        hook=customize,
        parents=parents,
        enqueue=enqueue,
        informers=surroundings.informers,
        clock=surroundings.clock,
    )


async def work(
    surroundings: Surroundings,
    queue: WorkQueue,
    parents: Informer,
    sync: Callable[[Json], Awaitable[None]],
) -> None:
    """Sync what the queue holds, for ever; one worker of several.

    A failure is told as an Event at the parent and leads to another sync with
    back-off; 429 leads to one when the hook said.
    """
    while True:
        key = await queue.take()
        try:
            await _once(surroundings, queue, key, parents, sync)
        finally:
            queue.done(key)


async def _once(
    surroundings: Surroundings,
    queue: WorkQueue,
    key: str,
    parents: Informer,
    sync: Callable[[Json], Awaitable[None]],
) -> None:
    parent = parents.get(key)
    if parent is None:
        queue.succeeded(key)
        return
    try:
        await sync(parent)
    except TooManyRequestsError as error:
        queue.add_after(key, error.retry_after_s)
    except NotListedError:
        queue.add_after_failure(key)
    except (SyncError, api.ApiError, httpx.TransportError) as error:
        log.warning("sync of %s failed: %s", key, error)
        surroundings.recorder.tell(parent, "Warning", "SyncError", f"Sync error: {error}")
        queue.add_after_failure(key)
    else:
        queue.succeeded(key)


async def resync(
    parents: Informer, period_s: float | None, enqueue: Callable[[Json], None]
) -> None:
    """Ask for a sync of every parent once a period, for ever."""
    while period_s is not None:
        await asyncio.sleep(period_s)
        for parent in parents.all():
            enqueue(parent)


def is_status_change(old: Json | None, new: Json) -> bool:
    """Whether nothing has changed that ``ignoreStatusChanges`` lets through."""
    return (
        old is not None
        and old is not new
        and old["metadata"].get("generation") == new["metadata"].get("generation")
        and objects.labels(old) == objects.labels(new)
        and objects.annotations(old) == objects.annotations(new)
        and not objects.is_deleting(new)
    )


async def without_finalizer(
    server: api.Api, resource: Resource, parent: Json, finalizer: str
) -> Json:
    """Take away the finalizer that an earlier spec, with a finalize hook, has put there."""

    def remove(obj: Json) -> bool:
        finalizers = obj["metadata"].get("finalizers") or []
        obj["metadata"]["finalizers"] = [name for name in finalizers if name != finalizer]
        return finalizer in finalizers

    if finalizer not in (parent["metadata"].get("finalizers") or ()):
        return parent
    return await writes.change(server, resource, parent, remove)
