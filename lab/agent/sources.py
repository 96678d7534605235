# SPDX-License-Identifier: MIT
"""The Secrets and ConfigMaps that a Pod refers to, followed while it runs."""

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from typing import Any, Literal

from lab import api as kube

Json = dict[str, Any]

Kind = Literal["secret", "configMap"]

COLLECTIONS: Mapping[Kind, str] = {"secret": "secrets", "configMap": "configmaps"}


class Sources:
    """Reads objects of one namespace by name, each through a watch of its own.

    A node may see only what its Pods refer to, so there is no wider watch. The
    watches are ``tasks``'s and end by :meth:`close`. ``changed`` is set whenever
    something that was read has changed.
    """

    def __init__(self, api: kube.Api, namespace: str, tasks: asyncio.TaskGroup) -> None:
        self.changed = asyncio.Event()
        self._api = api
        self._namespace = namespace
        self._tasks = tasks
        self._watches: dict[tuple[Kind, str], asyncio.Task[None]] = {}
        self._known: dict[tuple[Kind, str], asyncio.Future[Json | None]] = {}

    async def read(self, kind: Kind, name: str) -> Mapping[str, bytes] | None:
        """Return an object's data by key; None when there is no such object."""
        key = (kind, name)
        if key not in self._watches:
            self._known[key] = asyncio.get_running_loop().create_future()
            self._watches[key] = self._tasks.create_task(self._follow(kind, name))
        found = await asyncio.shield(self._known[key])
        return None if found is None else _data(kind, found)

    def close(self) -> None:
        """End the watches."""
        for watch in self._watches.values():
            watch.cancel()

    async def _follow(self, kind: Kind, name: str) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/{COLLECTIONS[kind]}"
        watch = self._api.watch(path, field_selector=f"metadata.name={name}")
        async with contextlib.aclosing(watch):
            async for event in watch:
                if isinstance(event, kube.Listed):
                    self._first((kind, name), None)
                else:
                    self._learn((kind, name), None if event.type == "DELETED" else event.object)

    def _first(self, key: tuple[Kind, str], found: Json | None) -> None:
        if not self._known[key].done():
            self._known[key].set_result(found)

    def _learn(self, key: tuple[Kind, str], found: Json | None) -> None:
        if not self._known[key].done():
            self._known[key].set_result(found)
            return
        fresh: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        fresh.set_result(found)
        self._known[key] = fresh
        self.changed.set()


def _data(kind: Kind, found: Json) -> Mapping[str, bytes]:
    if kind == "secret":
        return _decoded(found.get("data"))
    text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return {**text, **_decoded(found.get("binaryData"))}


def _decoded(values: Mapping[str, str] | None) -> Mapping[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (values or {}).items()}
