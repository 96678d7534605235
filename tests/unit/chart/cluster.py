# SPDX-License-Identifier: MIT
"""An API server in memory, as far as the Jobs use it."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from app.upkeep import cluster

Json = dict[str, Any]
Refuse = Callable[[str, str], httpx.Response | None]


class Memory:
    """Objects by their paths; `refuse` may answer a request with an error instead."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.writes: list[str] = []
        self.refuse: Refuse = lambda _method, _path: None
        self._version = 0

    @property
    def client(self) -> cluster.Cluster:
        transport = httpx.MockTransport(self._answer)
        return cluster.Cluster(httpx.Client(base_url="https://cluster", transport=transport))

    def put(self, path: str, manifest: Json) -> None:
        self._version += 1
        parts = path.split("/")
        metadata: Json = {"name": parts[-1], "resourceVersion": str(self._version)}
        if "namespaces" in parts:
            metadata["namespace"] = parts[parts.index("namespaces") + 1]
        self.objects[path] = {**manifest, "metadata": {**manifest.get("metadata", {}), **metadata}}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        refusal = self.refuse(method, path)
        if refusal is not None:
            return refusal
        if method != "GET":
            self.writes.append(f"{method} {path}")
        body = json.loads(request.content) if request.content else {}
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return error(409)
            self.put(path, body)
        elif method == "GET" and path.rpartition("/")[2] in {"services", "l2loadbalancers"} | KINDS:
            return httpx.Response(200, json={"metadata": {}, "items": self._listed(path)})
        path = path.removesuffix("/status")
        if path not in self.objects:
            return error(404)
        if method == "DELETE":
            return httpx.Response(200, json=self.objects.pop(path))
        if method == "PUT":
            self.put(path, body)
        if method == "PATCH":
            self.put(path, merged(self.objects[path], body))
        return httpx.Response(200, json=self.objects[path])

    def _listed(self, path: str) -> list[Json]:
        plural = path.rpartition("/")[2]
        return [found for at, found in self.objects.items() if at.split("/")[-2] == plural]


KINDS = {"compositecontrollers", "decoratorcontrollers"}


def error(status: int, message: str = "no") -> httpx.Response:
    return httpx.Response(status, json={"kind": "Status", "code": status, "message": message})


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
