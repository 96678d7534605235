# SPDX-License-Identifier: MIT
"""One DecoratorController: labels, annotations and status that its sync hook wants on objects."""

import asyncio
import copy
import http
from collections.abc import Mapping

from lab import api
from lab.api import Json
from lab.metacontroller import answers, controller, merge, objects, spec, writes
from lab.metacontroller.answers import DecoratorAnswer
from lab.metacontroller.controller import Surroundings
from lab.metacontroller.informers import Informer
from lab.metacontroller.workqueue import WorkQueue


class DecoratorController:
    """Keeps every object that its selectors match decorated as the sync hook says.

    An object that the selectors no longer match is left as it is, and no hook
    is asked about it.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        found: spec.Decorator,
        parents: Informer,
        hooks: controller.Hooks,
    ) -> None:
        self._surroundings = surroundings
        self._spec = found
        self._parents = parents
        self._queue = WorkQueue(surroundings.clock)
        self._sync_hook = hooks.sync
        self._related = controller.related(
            surroundings, found, hooks.customize, parents, self._enqueue
        )

    @classmethod
    async def start(
        cls, surroundings: Surroundings, found: spec.Decorator
    ) -> "DecoratorController":
        """Find the resource; raises SyncError."""
        parents = await surroundings.informers.of(found.api_version, found.plural)
        return cls(surroundings, found, parents, await controller.hooks(surroundings, found))

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._parents.subscribe(self._on_parent)
                await self._parents.listed.wait()
                tasks.create_task(
                    controller.resync(self._parents, self._spec.resync_period_s, self._enqueue)
                )
                for _ in range(self._surroundings.workers):
                    tasks.create_task(
                        controller.work(self._surroundings, self._queue, self._parents, self._sync)
                    )
        finally:
            self._parents.unsubscribe([self._on_parent])
            self._related.close()
            self._queue.close()

    def _enqueue(self, parent: Json) -> None:
        if self._cares_for(parent):
            self._queue.add(objects.key(parent))

    def _cares_for(self, parent: Json) -> bool:
        return self._spec.label_selector.matches(
            objects.labels(parent)
        ) and self._spec.annotation_selector.matches(objects.annotations(parent))

    async def _on_parent(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            if old is not None:
                self._enqueue(old)
            return
        if not (self._spec.ignore_status_changes and controller.is_status_change(old, new)):
            self._enqueue(new)

    async def _sync(self, parent: Json) -> None:
        if not self._cares_for(parent):
            return
        finalizer = f"metacontroller.io/decoratorcontroller-{self._spec.name}"
        parent = await controller.without_finalizer(
            self._surroundings.server, self._parents.resource, parent, finalizer
        )
        request = {
            "controller": self._spec.source,
            "object": parent,
            "attachments": {},
            "related": await self._related.of(parent),
            "finalizing": False,
        }
        answer = answers.decorator(await self._sync_hook.call(request))
        if answer.resync_after_s > 0:
            self._queue.add_after(objects.key(parent), answer.resync_after_s)
        try:
            await self._write(parent, decorated(parent, answer))
        except api.ApiError as error:
            # The change that came between is an event, and so another sync.
            if error.status != http.HTTPStatus.NOT_FOUND and not writes.is_conflict(error):
                raise

    async def _write(self, parent: Json, wanted: Json) -> None:
        """Write what differs: first the status, then the rest, which costs a write either way."""
        if merge.same(parent, wanted):
            return
        # As the real one does; the API server drops them when they are empty.
        wanted["metadata"].setdefault("labels", {})
        wanted["metadata"].setdefault("annotations", {})
        server, resource = self._surroundings.server, self._parents.resource
        if resource.has_status and not merge.same(parent.get("status"), wanted.get("status")):
            written = await server.update(resource.path_of(parent, "status"), wanted)
            wanted["metadata"]["resourceVersion"] = written["metadata"]["resourceVersion"]
        await server.update(resource.path_of(parent), wanted)


def decorated(parent: Json, answer: DecoratorAnswer) -> Json:
    """Return the object as the hook wants it; the same value if it is so already."""
    wanted = copy.deepcopy(parent)
    _change(wanted["metadata"], "labels", answer.labels)
    _change(wanted["metadata"], "annotations", answer.annotations)
    if answer.status is not None:
        wanted["status"] = copy.deepcopy(answer.status)
    return wanted


def _change(metadata: Json, field: str, changes: Mapping[str, str | None]) -> None:
    now = dict(metadata.get(field) or {})
    after = {key: value for key, value in {**now, **changes}.items() if value is not None}
    if after != now:
        metadata[field] = after
