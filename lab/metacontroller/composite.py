# SPDX-License-Identifier: MIT
"""One CompositeController: parents and the children that its sync hook wants for them."""

import asyncio
import copy
import http

from lab import api
from lab.api import Json
from lab.metacontroller import answers, children, controller, merge, objects, spec, writes
from lab.metacontroller.controller import Surroundings
from lab.metacontroller.errors import SyncError, UnsupportedError
from lab.metacontroller.informers import Handler, Informer
from lab.metacontroller.workqueue import WorkQueue


class CompositeController:
    """Keeps the children and the status of every parent what the sync hook says."""

    def __init__(
        self,
        surroundings: Surroundings,
        found: spec.Composite,
        parents: Informer,
        hooks: controller.Hooks,
    ) -> None:
        self._surroundings = surroundings
        self._spec = found
        self._parents = parents
        self._children: list[Informer] = []
        self._queue = WorkQueue(surroundings.clock)
        self._sync_hook = hooks.sync
        self._related = controller.related(
            surroundings, found, hooks.customize, parents, self._enqueue
        )

    @classmethod
    async def start(
        cls, surroundings: Surroundings, found: spec.Composite
    ) -> "CompositeController":
        """Find the resources; raises SyncError and UnsupportedError."""
        parents = await surroundings.informers.of(found.parent_api_version, found.parent_plural)
        if not parents.resource.has_status:
            raise UnsupportedError(f"{found.parent_plural} have no subresource status")
        self = cls(surroundings, found, parents, await controller.hooks(surroundings, found))
        for api_version, plural in found.children:
            self._children.append(await surroundings.informers.of(api_version, plural))
        return self

    async def run(self) -> None:
        """Work until cancelled."""
        subscriptions: list[tuple[Informer, Handler]] = [(self._parents, self._on_parent)]
        subscriptions += [(informer, self._on_child) for informer in self._children]
        try:
            async with asyncio.TaskGroup() as tasks:
                for informer, handler in subscriptions:
                    await informer.subscribe(handler)
                    await informer.listed.wait()
                tasks.create_task(
                    controller.resync(self._parents, self._spec.resync_period_s, self._enqueue)
                )
                for _ in range(self._surroundings.workers):
                    tasks.create_task(
                        controller.work(self._surroundings, self._queue, self._parents, self._sync)
                    )
        finally:
            for informer, handler in subscriptions:
                informer.unsubscribe([handler])
            self._related.close()
            self._queue.close()

    def _enqueue(self, parent: Json) -> None:
        if self._cares_for(parent):
            self._queue.add(objects.key(parent))

    def _cares_for(self, parent: Json) -> bool:
        return self._spec.parent_selector.matches(objects.labels(parent))

    async def _on_parent(self, old: Json | None, new: Json | None) -> None:
        if new is None:
            if old is not None:
                self._queue.add(objects.key(old))
            return
        if not (self._spec.ignore_status_changes and controller.is_status_change(old, new)):
            self._enqueue(new)

    async def _on_child(self, old: Json | None, new: Json | None) -> None:
        child = new or old
        if child is None or (
            new is not None and old is not None and _version(old) == _version(new)
        ):
            return
        owner = objects.controller_of(child)
        if owner is not None:
            parent = self._parent_of(child, owner)
            if parent is not None:
                self._enqueue(parent)
        elif new is not None and not objects.is_deleting(new):
            for parent in self._parents.all():
                if objects.labels(new).get(children.PARENT_LABEL) == objects.uid(parent):
                    self._enqueue(parent)

    def _parent_of(self, child: Json, owner: Json) -> Json | None:
        resource = self._parents.resource
        if owner["kind"] != resource.kind or objects.api_group(
            owner["apiVersion"]
        ) != objects.api_group(resource.api_version):
            return None
        namespace = objects.namespace(child) if resource.namespaced else ""
        parent = self._parents.get(objects.named(namespace, owner["name"]))
        return parent if parent is not None and objects.uid(parent) == owner["uid"] else None

    async def _sync(self, parent: Json) -> None:
        if not self._cares_for(parent):
            return
        server, resource = self._surroundings.server, self._parents.resource
        finalizer = f"metacontroller.io/compositecontroller-{self._spec.name}"
        parent = await controller.without_finalizer(server, resource, parent, finalizer)
        observed = await children.claim(server, resource, parent, self._children)
        related = await self._related.of(parent)
        request = {
            "controller": self._spec.source,
            "parent": parent,
            "children": observed,
            "related": related,
            "finalizing": False,
        }
        answer = answers.composite(await self._sync_hook.call(request))
        wanted = children.desired(parent, answer.children)
        if answer.resync_after_s > 0:
            self._queue.add_after(objects.key(parent), answer.resync_after_s)
        failure: SyncError | None = None
        if not objects.is_deleting(parent):
            try:
                await children.manage(
                    server, self._surroundings.discovery, parent, observed, wanted
                )
            except SyncError as error:
                failure = SyncError(
                    f"can't reconcile children for {parent['kind']} {objects.key(parent)}: {error}"
                )
        await self._write_status(parent, answer.status)
        if failure is not None:
            raise failure

    async def _write_status(self, parent: Json, wanted: Json | None) -> None:
        generation = parent["metadata"].get("generation") or 0
        status = {**(wanted or {}), "observedGeneration": generation}

        def replace(live: Json) -> bool:
            if merge.same(live.get("status"), status):
                return False
            live["status"] = copy.deepcopy(status)
            return True

        try:
            await writes.change(
                self._surroundings.server,
                self._parents.resource,
                parent,
                replace,
                subresource="status",
            )
        except api.ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND and not writes.is_conflict(error):
                raise


def _version(obj: Json) -> str:
    return str(obj["metadata"]["resourceVersion"])
