# SPDX-License-Identifier: MIT
"""What the machine `client` sees: who answers for an address, and how connections fare.

For the commands that run in a lab: the demo, the end-to-end tests, the benchmarks.
"""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import connections, errors, inside, network

NAME = "client"
INTERFACE = "eth0"
ONCE_S = 60.0  # so long between connections that there is one

Json = dict[str, Any]

# A container whose name `ask` returns. A Service that sends somebody there waits until it listens.
ECHO: Json = {
    "name": "echo",
    "image": "example.com/echo",
    "ports": [{"containerPort": 8080}],
    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
}


class Client:
    """A host of the world outside the cluster, on the same switch."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab

    def ask(self, address: str, port: int = 80) -> str | None:
        """Open one connection; return `<node>/<pod>` of the Pod that answers, None without one."""
        with self.watch([f"[{address}]:{port}"], every_s=ONCE_S) as seen:
            pass
        return next(iter(seen[0]["servers"]), None)

    def mac_of(self, address: str) -> str | None:
        """Return the MAC in the client's neighbour table for an address, if there is one."""
        table = self._lab.run(
            NAME, "ip", "-json", "neighbour", "show", "to", address, "dev", INTERFACE
        )
        return next((entry["lladdr"] for entry in json.loads(table) if "lladdr" in entry), None)

    def forget(self, address: str) -> None:
        """Remove an address from the client's neighbour table, so that it must ask again."""
        self._lab.run(NAME, "ip", "neighbour", "flush", "to", address, "dev", INTERFACE)

    def machine_of(self, address: str) -> str | None:
        """Ask the wire anew who answers for an address; None when nobody does."""
        self.forget(address)
        self.ask(address)
        return machine_of_mac(self._lab, self.mac_of(address))

    def until_served(self, service: str, addresses: Iterable[str]) -> None:
        """Wait until port 80 of each address reaches a Pod, whichever node announces it.

        An address is answered as soon as it is known. That each node's kube-proxy sends it to
        NAMESPACE/NAME, and that a Pod listens, is other programs' work, done in their own time: a
        kube-proxy whose API server was away looks for it again after up to a minute.
        """
        wanted = list(addresses)
        for node in self._lab.nodes():
            inside.until(
                lambda node=node: self._is_proxied(node, service, wanted),  # type: ignore[misc] # mypy cannot infer a lambda with a default
                f"kube-proxy of {node} knows {service}",
                within_s=90.0,
            )
        for address in wanted:
            inside.until(
                lambda address=address: self.ask(address),  # type: ignore[misc] # mypy cannot infer a lambda with a default
                f"{address} reaches a Pod",
            )

    def _is_proxied(self, node: str, service: str, addresses: Iterable[str]) -> bool:
        for address in addresses:
            family = "ip6" if ":" in address else "ip"
            known = self._lab.run(node, "nft", "list", "map", family, "kube-proxy", "service-ips")
            chain = rf"goto [a-z]+-[0-9A-Z]+-{re.escape(service)}/tcp/"
            if not re.search(rf"{re.escape(address)} \. tcp \. 80 : {chain}", known):
                return False
        return True

    @contextlib.contextmanager
    def watch(
        self, targets: Sequence[str], *, every_s: float = connections.EVERY_S
    ) -> Iterator[list[Json]]:
        """Open new connections to each target while the context is open.

        The list is filled when it closes: one `connections.summary` a target, in order.
        """
        program = str(Path(connections.__file__).resolve())
        argv = [sys.executable, "-I", program, "--every", str(every_s), *targets]
        results: list[Json] = []
        with subprocess.Popen(
            network.inside(NAME, argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                if not (process.stdout and process.stdout.readline() == "started\n"):
                    raise errors.LabError("the client did not start: its message stands above")
                yield results
                output, _ = process.communicate("")
            finally:
                process.kill()
        if process.returncode:
            raise errors.LabError(f"the client ended with status {process.returncode}")
        results += json.loads(output)


def machine_of_mac(lab: inside.Lab, mac: str | None) -> str | None:
    """Return the node that has this MAC on one of its uplinks; None when no node has."""
    for node in lab.nodes():
        links = json.loads(lab.run(node, "ip", "-json", "link", "show"))
        if mac in {link["address"] for link in links if link["ifname"].startswith("eth")}:
            return node
    return None
