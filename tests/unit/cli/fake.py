# SPDX-License-Identifier: MIT
"""An API server that answers from a dictionary, behind the client's own transport."""

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import httpx2

from cli import cluster

Json = dict[str, Any]


class Server:
    """Lists and objects by path, texts by path, and the patches that were sent.

    A path in `refused` is answered with that status. Labels and fields do select.
    """

    def __init__(self, **lists: list[Json]) -> None:
        self.lists: dict[str, list[Json]] = {
            getattr(cluster, name.upper()): items for name, items in lists.items()
        }
        self.objects: dict[str, Json] = {}
        self.texts: dict[str, str] = {}
        self.refused: dict[str, int] = {}
        self.patched: list[tuple[str, Json]] = []
        self.page_size = 500

    def connection(self) -> cluster.Cluster:
        client = httpx2.Client(
            base_url="https://api.test", transport=httpx2.MockTransport(self.answer)
        )
        return cluster.Cluster(client, namespace="shop")

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path in self.refused:
            status = self.refused[path]
            return httpx2.Response(status, json={"message": f"{path} is refused"})
        if request.method == "PATCH":
            self.patched.append((path, json.loads(request.content)))
            return httpx2.Response(200, json={})
        if path in self.texts:
            return httpx2.Response(200, text=self.texts[path])
        if path in self.objects:
            return httpx2.Response(200, json=self.objects[path])
        items = self._list(path)
        if items is None:
            return httpx2.Response(404, json={"message": f"{path} not found"})
        parameters = dict(request.url.params)
        chosen = [item for item in items if _selected(item, parameters)]
        begin = int(parameters.get("continue") or 0)
        end = begin + self.page_size
        token = str(end) if end < len(chosen) else ""
        return httpx2.Response(
            200, json={"items": chosen[begin:end], "metadata": {"continue": token}}
        )

    def _list(self, path: str) -> list[Json] | None:
        if path in self.lists:
            return self.lists[path]
        parts = path.split("/")
        if "namespaces" not in parts[:-1]:
            return None
        place = parts.index("namespaces")
        everywhere = "/".join([*parts[:place], *parts[place + 2 :]])
        if everywhere not in self.lists:
            return None
        namespace = urllib.parse.unquote(parts[place + 1])
        return [
            item
            for item in self.lists[everywhere]
            if item.get("metadata", {}).get("namespace") == namespace
        ]


def _selected(item: Mapping[str, Any], parameters: Mapping[str, str]) -> bool:
    labels = (item.get("metadata") or {}).get("labels") or {}
    wanted = dict(
        part.split("=", 1) for part in parameters.get("labelSelector", "").split(",") if part
    )
    fields = dict(
        part.split("=", 1) for part in parameters.get("fieldSelector", "").split(",") if part
    )
    return wanted.items() <= labels.items() and all(
        item.get(name) == value for name, value in fields.items()
    )
