# SPDX-License-Identifier: MIT
"""A balancer over three nodes, a Service with addresses of it, and who answers for them."""

import json
import sys
import uuid
from collections.abc import Sequence
from typing import Any

from contract import announcement, child, names
from lab import client, inside, release

NODES = ("node-1", "node-2", "node-3")
# Asks for the address 200 times a second for some seconds; prints the MACs of all who claim it
# meanwhile. To ask again at each answer would flood all nodes with broadcasts, beside the
# connections that a test may watch.
ASKS = """
import socket, sys, time
asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
asking.bind((sys.argv[3], 0))
mac, target = asking.getsockname()[4], socket.inet_aton(sys.argv[1])
head = b"\\xff" * 6 + mac + bytes.fromhex("08060001080006040001") + mac + bytes([10, 77, 0, 100])
seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
seen.bind((sys.argv[3], 0x0806))
macs, now = set(), time.monotonic()
until, next_ask = now + float(sys.argv[2]), now
while now < until:
    if now >= next_ask:
        asking.send(head + bytes(6) + target)
        next_ask = now + 0.005
    seen.settimeout(next_ask - now)
    try:
        frame = seen.recv(64)
        if frame[28:32] == target:
            macs.add(frame[22:28].hex(":"))
    except TimeoutError:
        pass
    now = time.monotonic()
print(*sorted(macs))
"""


class Front:
    """A balancer over three nodes and a Service with addresses of it."""

    def __init__(self, lab: inside.Lab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace
        self.name = f"front-{uuid.uuid4().hex[:6]}"
        self.outside = client.Client(lab)
        self.addresses: list[str] = []

    def install(
        self, *, pool: str = "10.77.0.240-10.77.0.249", interfaces: Sequence[str] = ()
    ) -> None:
        for node in NODES:
            self.lab.kubectl("label", "--overwrite", "node", node, f"test/{self.name}=")
        self.lab.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": self.name},
                "spec": {
                    "addressPool": [pool],
                    "nodeSelector": {f"test/{self.name}": ""},
                    "failbackDelay": "2s",
                    **({"interfaces": list(interfaces)} if interfaces else {}),
                },
            }
        )
        # Metacontroller's watches of Nodes and balancers, each for itself, come back up to a minute
        # after the API server, which the test before may have stopped.
        inside.until(
            lambda: self._status().get("nodeCount") == len(NODES),
            f"{self.name} knows its nodes",
            within_s=90.0,
        )
        self.run_echo("echo", "node-3")

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.lab.get(names.PLURAL, self.name).get("status", {})
        return status

    def run_echo(self, name: str, node: str) -> None:
        """Run a Pod of this name on a node, which the Service has as an endpoint."""
        self.lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": self.namespace,
                    "labels": {"app": "echo"},
                },
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "containers": [client.ECHO],
                },
            }
        )

    def remove(self) -> None:
        self.lab.kubectl("delete", names.PLURAL, self.name)
        self.lab.kubectl("label", "node", "--all", f"test/{self.name}-")

    def serve(self, count: int, **spec: Any) -> None:
        self.lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "name": "web",
                    "namespace": self.namespace,
                    "annotations": {
                        names.SERVICE_BALANCER: self.name,
                        names.SERVICE_IP_COUNT: str(count),
                    },
                },
                "spec": {
                    "type": "LoadBalancer",
                    "loadBalancerClass": names.SERVICE_CLASS,
                    "selector": {"app": "echo"},
                    "ports": [{"port": 80, "targetPort": 8080}],
                    **spec,
                },
            }
        )

    def said(self) -> dict[str, announcement.Announcement | None]:
        """Return what the speakers say of each address."""
        selector = f"{names.CHILD_BALANCER}={self.name}"
        found = {}
        for item in self.lab.items("services", "-n", self.namespace, "-l", selector):
            address = child.decode(item).address
            found[str(address)] = announcement.decode_status(item, address=address)
        return found

    def preferred(self, address: str) -> tuple[str, ...]:
        """Return the node that is listed first for the address."""
        selector = f"{names.CHILD_BALANCER}={self.name}"
        listed = self.lab.items("services", "-n", self.namespace, "-l", selector)
        children = [child.decode(item) for item in listed]
        return tuple(made.nodes[0] for made in children if str(made.address) == address)

    def holders(self, count: int) -> dict[str, str]:
        """Wait until so many addresses are announced; return the node of each."""

        def announced() -> dict[str, str]:
            nodes = {a: s.node for a, s in self.said().items() if s is not None and s.node}
            return nodes if len(nodes) == count else {}

        found = inside.until(announced, f"{count} addresses are announced")
        self.addresses = sorted(found)
        return found

    def until_on(self, address: str, *nodes: str) -> str:
        """Wait until one of these nodes answers for the address, as the wire has it."""
        return (
            inside.until(
                lambda: found if (found := self.outside.machine_of(address)) in nodes else None,
                f"{address} is on one of {', '.join(nodes)}",
            )
            or ""
        )

    def status_of(self, node: str) -> dict[str, Any]:
        """Return the speaker's own view."""
        page: dict[str, Any] = json.loads(self.lab.fetch(node, f"{release.SPEAKER_PAGES}status"))
        return page

    def mac_of(self, machine: str, interface: str = "eth0") -> str:
        """Return the MAC of a machine's interface, the uplink if none is named."""
        links = json.loads(self.lab.run(machine, "ip", "-json", "link", "show", "dev", interface))
        mac: str = links[0]["address"]
        return mac

    def claimants(self, address: str, for_s: float, interface: str = "eth0") -> set[str]:
        """Ask for the address again and again; return all MACs that claim it meanwhile."""
        words = (address, str(for_s), interface)
        said = self.lab.run("client", sys.executable, "-I", "-c", ASKS, *words)
        return set(said.split())


def others(node: str) -> tuple[str, ...]:
    return tuple(name for name in NODES if name != node)
