# SPDX-License-Identifier: MIT
"""What a speaker does when its node, its neighbours or the API server are not well."""

import json
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from contract import announcement, child, names
from lab import client, inside, release

BALANCER_NODES = ("node-1", "node-2", "node-3")
# Asks for the address for some seconds; prints the MACs of all who claim it meanwhile.
ASKS = """
import socket, sys, time
asking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
asking.bind(("eth0", 0))
mac, target = asking.getsockname()[4], socket.inet_aton(sys.argv[1])
head = b"\\xff" * 6 + mac + bytes.fromhex("08060001080006040001") + mac + bytes([10, 77, 0, 100])
seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
seen.bind(("eth0", 0x0806))
macs, until = set(), time.monotonic() + float(sys.argv[2])
seen.settimeout(0.02)
while time.monotonic() < until:
    asking.send(head + bytes(6) + target)
    try:
        frame = seen.recv(64)
    except TimeoutError:
        continue
    if frame[28:32] == target:
        macs.add(frame[22:28].hex(":"))
print(*sorted(macs))
"""


class Front:
    """A balancer over three nodes and a Service with addresses of it."""

    def __init__(self, lab: inside.Lab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace
        self.name = f"front-{uuid.uuid4().hex[:6]}"
        self.outside = client.Client(lab)

    def install(self, failback_delay: str) -> None:
        for node in BALANCER_NODES:
            self.lab.kubectl("label", "--overwrite", "node", node, f"test/{self.name}=")
        self.lab.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": self.name},
                "spec": {
                    "addressPool": ["10.77.0.240-10.77.0.249"],
                    "nodeSelector": {f"test/{self.name}": ""},
                    "failbackDelay": failback_delay,
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": "echo",
                    "namespace": self.namespace,
                    "labels": {"app": "echo"},
                },
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": "node-3"},
                    "containers": [
                        {"name": "echo", "image": "echo", "ports": [{"containerPort": 8080}]}
                    ],
                },
            },
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

        return inside.until(announced, f"{count} addresses are announced")

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

    def mac_of(self, machine: str) -> str:
        """Return the MAC of a machine's uplink."""
        links = json.loads(self.lab.run(machine, "ip", "-json", "link", "show", "dev", "eth0"))
        mac: str = links[0]["address"]
        return mac

    def claimants(self, address: str, for_s: float) -> set[str]:
        """Ask for the address again and again; return all MACs that claim it meanwhile."""
        said = self.lab.run("client", sys.executable, "-I", "-c", ASKS, address, str(for_s))
        return set(said.split())


@pytest.fixture
def front(whole: inside.Lab, namespace: str) -> Iterator[Front]:
    made = Front(whole, namespace)
    made.install(failback_delay="2s")
    yield made
    made.remove()


def others(node: str) -> tuple[str, ...]:
    return tuple(name for name in BALANCER_NODES if name != node)


def test_a_speaker_that_stood_still_answers_nothing_from_the_past(front: Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    stale = front.mac_of(node)
    front.lab.change("process", "pause", f"speaker-{node}")
    taker = front.until_on(address, *others(node))
    front.claimants(address, 1.0)  # questions that wait in the queue of the one that stands still
    front.lab.change("process", "continue", f"speaker-{node}")
    # Shorter than the fail-back delay: until then the address stays where it went.
    assert front.claimants(address, 1.0) == {front.mac_of(taker)}
    front.until_on(address, node)
    assert front.claimants(address, 0.5) == {stale}


def test_a_cordoned_node_gives_its_addresses_away_without_a_failed_connection(front: Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    with front.outside.watch([address]) as results:
        front.lab.kubectl("cordon", node)
        front.until_on(address, *others(node))
        front.lab.kubectl("uncordon", node)
        front.until_on(address, *front.preferred(address))
    assert results[0]["failures"] == []


def test_a_node_whose_service_proxy_is_dead_gives_its_addresses_away(front: Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    inside.until(lambda: front.status_of(node)["proxyWell"], "the proxy is known to be well")
    front.lab.change("process", "kill", f"kube-proxy-{node}")
    front.until_on(address, *others(node))
    front.lab.change("process", "start", f"kube-proxy-{node}")
    front.until_on(address, node)


def test_with_policy_local_only_a_node_with_an_endpoint_announces(front: Front) -> None:
    front.serve(2, externalTrafficPolicy="Local")
    inside.until(
        lambda: (
            len(front.said()) == 2
            and all(front.outside.machine_of(address) == "node-3" for address in front.said())
        ),
        "node-3, where the Pod is, answers for both addresses",
    )
    for address in front.said():
        assert front.outside.ask(address) == "node-3/echo"


def test_a_stranger_that_has_the_address_keeps_it_and_is_named(front: Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.lab.change("machine", "add", "intruder")
    front.lab.run("intruder", "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    front.lab.run("intruder", "ping", "-c", "1", "-W", "1", "-I", address, "10.77.0.100")

    def conflict() -> announcement.Announcement | None:
        said = front.said()[address]
        return said if said and said.reason is names.AnnouncedReason.ADDRESS_CONFLICT else None

    said = inside.until(conflict, "the conflict is in the child's status")
    assert said is not None
    assert said.node == node
    assert front.mac_of("intruder") in said.message
    front.lab.run("intruder", "ip", "addr", "del", f"{address}/24", "dev", "eth0")
    front.until_on(address, node)

    free = "10.77.0.249"
    front.lab.run("intruder", "ip", "addr", "add", f"{free}/24", "dev", "eth0")
    front.lab.kubectl(
        "-n", front.namespace, "annotate", "service", "web", f"{names.SERVICE_ADDRESSES}={free}"
    )
    macs = front.claimants(free, 3.0)
    assert macs == {front.mac_of("intruder")}
    front.lab.run("intruder", "ip", "addr", "del", f"{free}/24", "dev", "eth0")


def test_without_api_server_addresses_fail_over_and_a_restarted_speaker_goes_on(
    front: Front,
) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    inside.until(
        lambda: front.lab.run(node, "find", f"/run/lab/nodes/{node}", "-name", "speaker.json"),
        "the lists are in the cache",
    )
    nodes = front.lab.nodes()
    assert node in nodes
    front.lab.change("apiserver", "stop")
    try:
        front.lab.change("process", "kill", f"speaker-{node}")
        front.claimants(address, 1.0)
        (taken_by,) = front.claimants(address, 1.0)
        assert taken_by in {front.mac_of(other) for other in others(node)}
        front.lab.change("process", "start", f"speaker-{node}")
        inside.until(
            lambda: front.claimants(address, 0.5) == {front.mac_of(node)},
            f"{address} is back on {node}, whose speaker started from its cache",
        )
    finally:
        front.lab.change("apiserver", "start")
    inside.until(lambda: front.holders(1) == {address: node}, "the status is right again")
