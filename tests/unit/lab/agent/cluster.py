# SPDX-License-Identifier: MIT
import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from lab import api

Json = dict[str, Any]


class Cluster:
    """An API server that keeps what the agent writes; ``objects`` by path, as it stores them."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.written: list[tuple[str, str, Json]] = []
        self.outage = False
        self.tokens = 0
        self.token_life = "2026-01-01T01:00:00Z"
        self._version = 1
        self._watchers: list[tuple[str, str, asyncio.Queue[bytes]]] = []

    def client(self) -> api.Api:
        transport = httpx.MockTransport(self._handle)
        return api.Api("http://api", user_agent="tests", transport=transport)

    def put(self, path: str, **content: Any) -> None:
        collection, _, name = path.rpartition("/")
        self._version += 1
        kind = "MODIFIED" if path in self.objects else "ADDED"
        uid = self.objects.get(path, {}).get("metadata", {}).get("uid") or f"uid-{self._version}"
        metadata = {"name": name, "uid": uid, "resourceVersion": str(self._version)}
        self.objects[path] = {"metadata": metadata, **content}
        self._tell(kind, collection, name, self.objects[path])

    def remove(self, path: str) -> None:
        collection, _, name = path.rpartition("/")
        self._version += 1
        gone = self.objects.pop(path)
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", collection, name, gone)

    def statuses(self) -> list[Json]:
        return [body["status"] for _, path, body in self.written if path.endswith("/status")]

    def _tell(self, kind: str, collection: str, name: str, body: Json) -> None:
        line = json.dumps({"type": kind, "object": body}).encode() + b"\n"
        for watched, selector, queue in self._watchers:
            if watched == collection and selector in ("", f"metadata.name={name}"):
                queue.put_nowait(line)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        if self.outage:
            raise httpx.ConnectError("refused")
        path, params = request.url.path, request.url.params
        if request.method == "GET":
            selector = params.get("fieldSelector", "")
            if "watch" in params:
                return httpx.Response(200, content=self._watch(path, selector))
            return self._list(path, selector)
        body = json.loads(request.content or b"{}")
        if path.endswith("/token"):
            self.tokens += 1
            status = {"token": f"token-{self.tokens}", "expirationTimestamp": self.token_life}
            return httpx.Response(201, json={"status": status, "spec": body["spec"]})
        self.written.append((request.method, path, body))
        return httpx.Response(200, json=body)

    def _list(self, path: str, selector: str) -> httpx.Response:
        found = [
            body
            for stored, body in self.objects.items()
            if stored.rpartition("/")[0] == path
            and selector in ("", f"metadata.name={body['metadata']['name']}")
        ]
        metadata = {"resourceVersion": str(self._version)}
        body = {"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": found}
        return httpx.Response(200, json=body)

    async def _watch(self, path: str, selector: str) -> AsyncGenerator[bytes, None]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchers.append((path, selector, queue))
        while True:
            yield await queue.get()
