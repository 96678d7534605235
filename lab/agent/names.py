# SPDX-License-Identifier: MIT
"""The names of Services, as a hosts file: what a lab has instead of a DNS server."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab import api as kube
from lab.agent import files

Json = dict[str, Any]

HOSTS = "hosts"
RESOLVER = "resolv.conf"
LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


class Names:
    """Follows the Services of the cluster; ``directory`` holds the files for all Pods of a node.

    ``extra`` are further names, each with its address.
    """

    def __init__(self, api: kube.Api, directory: Path, extra: Mapping[str, str]) -> None:
        self.directory = directory
        self._extra = extra
        self.ready = asyncio.Event()
        self._api = api
        self._services: dict[str, Json] = {}

    async def run(self) -> None:
        """Keep the files up to date, for ever."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Nobody listens there, so that a name that is not in the file fails at once.
        files.replace(self.directory / RESOLVER, b"nameserver 127.0.0.1\noptions timeout:1\n")
        watch = self._api.watch("/api/v1/services")
        async with contextlib.aclosing(watch):
            async for event in watch:
                if isinstance(event, kube.Event):
                    uid = event.object["metadata"]["uid"]
                    if event.type == "DELETED":
                        self._services.pop(uid, None)
                    else:
                        self._services[uid] = event.object
                    if not self.ready.is_set():
                        continue
                text = hosts(self._services.values(), self._extra)
                files.replace(self.directory / HOSTS, text.encode())
                self.ready.set()

    def environment(self) -> dict[str, str]:
        """Return the variables by which a Pod finds the API server."""
        for service in self._services.values():
            metadata, spec = service["metadata"], service["spec"]
            if (metadata["namespace"], metadata["name"]) == ("default", "kubernetes"):
                port = str(spec["ports"][0]["port"])
                return {
                    "KUBERNETES_SERVICE_HOST": spec["clusterIP"],
                    "KUBERNETES_SERVICE_PORT": port,
                    "KUBERNETES_SERVICE_PORT_HTTPS": port,
                }
        return {}


def hosts(services: Iterable[Json], extra: Mapping[str, str]) -> str:
    """Return a hosts file with each Service's names at each of its cluster addresses."""
    lines = [f"{address} {name}\n" for name, address in extra.items()]
    for service in services:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        names = [f"{name}.{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local")]
        lines += [
            f"{address} {' '.join(names)}\n"
            for address in service["spec"].get("clusterIPs") or ()
            if address != "None"
        ]
    return LOCAL + "".join(sorted(lines))
