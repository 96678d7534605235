# SPDX-License-Identifier: MIT
"""The names of Services, as a hosts file: what a lab has instead of a DNS server."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import api as kube
from lab.agent import files

Json = dict[str, Any]

HOSTS = "hosts"
RESOLVER = "resolv.conf"
LOCAL = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"


# A Service that another proxy serves has no address that anything in the lab would answer at.
OURS = "!service.kubernetes.io/service-proxy-name"


class Names:
    """Follows the Services of the cluster; ``directory`` holds the files for all Pods of a node.

    ``extra`` are further names, each with its address.
    """

    def __init__(self, api: kube.Api, directory: Path, extra: Mapping[str, str]) -> None:
        self.directory = directory
        self._extra = "".join(f"{address} {name}\n" for name, address in extra.items())
        self.ready = asyncio.Event()
        self._api = api
        self._lines: dict[str, str] = {}  # by the UID of a Service that has any
        self._environment: dict[str, str] = {}

    async def run(self) -> None:
        """Keep the files up to date, for ever."""
        self.directory.mkdir(parents=True, exist_ok=True)
        # Nobody listens there, so that a name that is not in the file fails at once.
        files.replace(self.directory / RESOLVER, b"nameserver 127.0.0.1\noptions timeout:1\n")
        watch = self._api.watch("/api/v1/services", label_selector=OURS)
        async with contextlib.aclosing(watch):
            async for event in watch:
                if isinstance(event, kube.Event) and not (
                    self._take(event) and self.ready.is_set()
                ):
                    continue
                text = LOCAL + self._extra + "".join(sorted(self._lines.values()))
                files.replace(self.directory / HOSTS, text.encode())
                self.ready.set()

    def environment(self) -> dict[str, str]:
        """Return the variables by which a Pod finds the API server."""
        return self._environment

    def _take(self, event: kube.Event) -> bool:
        """Take a change in; True when it changes the file. Most are of a status."""
        metadata, spec = event.object["metadata"], event.object["spec"]
        before = self._lines.pop(metadata["uid"], "")
        if event.type == "DELETED":
            return before != ""
        if (metadata["namespace"], metadata["name"]) == ("default", "kubernetes"):
            port = str(spec["ports"][0]["port"])
            self._environment = {
                "KUBERNETES_SERVICE_HOST": spec["clusterIP"],
                "KUBERNETES_SERVICE_PORT": port,
                "KUBERNETES_SERVICE_PORT_HTTPS": port,
            }
        if now := lines(event.object):
            self._lines[metadata["uid"]] = now
        return before != now


def lines(service: Json) -> str:
    """Return the lines of a hosts file with a Service's names at each of its cluster addresses."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    names = [f"{name}.{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local")]
    return "".join(
        f"{address} {' '.join(names)}\n"
        for address in service["spec"].get("clusterIPs") or ()
        if address != "None"
    )
