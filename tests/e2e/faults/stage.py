# SPDX-License-Identifier: MIT
"""What every row of the matrix starts from and must come back to: a Service that is reachable."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from contract import announcement, child, names
from lab import client, inside
from tests.e2e import people

NODES = ("node-1", "node-2", "node-3", "node-4")
BACKEND = "node-5"  # carries the Pods and never announces: no fault takes a Pod with it
BACKEND_ADDRESS = "10.77.0.15"
SERVICE = "web"
COUNT = 2  # of each family
POOLS = ("10.77.0.130-10.77.0.239", "fd77::1000-fd77::10ff")
SMALL_POOL = ("10.77.0.240-10.77.0.241",)  # of a second balancer, where a row makes one
OURS = tuple(f"10.77.0.{last}" for last in range(130, 242))  # all that Services of rows may get
# Instead of 30 s, so that rows end sooner; taking over does not depend on it.
FAILBACK_DELAY_S = 1.0
FAILBACK_DELAY = f"{FAILBACK_DELAY_S:g}s"
RIGHT_WITHIN_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """One child as it should be: its address and its nodes, the preferred one first."""

    address: str
    nodes: tuple[str, ...]
    said: str | None  # the node that its status names
    reason: names.AnnouncedReason | None


class Stage:
    """A balancer on four nodes, and a dual-stack Service with Pods on the fifth."""

    def __init__(self, lab: inside.Lab, namespace: str, *, label: str = "test/faults") -> None:
        self.lab = lab
        self.label = label
        self.outside = client.Client(lab)
        self.balancer: people.Balancer
        self.namespace = namespace
        self.macs = {self._mac(node): node for node in lab.nodes()}

    def install(self) -> None:
        """Make everything, and wait until the client is served."""
        self.label_nodes(*NODES)
        self.balancer = people.Balancer(
            self.lab, POOLS, selector={self.label: ""}, failbackDelay=FAILBACK_DELAY
        )
        self.user = people.User(self.lab, self.namespace, self.balancer.name)
        self.lab.apply(_deployment(self.namespace))
        self.user.serve(SERVICE, count=str(COUNT), ipFamilyPolicy="RequireDualStack")
        self.addresses: Sequence[str] = self.user.addresses(SERVICE, 2 * COUNT)
        self.lab.kubectl(
            *("-n", self.namespace, "rollout", "status", "deployment/echo", "--timeout=60s")
        )
        self.outside.until_served(f"{self.namespace}/{SERVICE}", self.addresses)
        (port,) = self.user.service(SERVICE)["spec"]["ports"]
        self.control = (
            f"{BACKEND_ADDRESS}:{port['nodePort']}"  # the same Pods, not by our addresses
        )

    def remove(self) -> None:
        """Take everything away."""
        self.balancer.delete()
        self.lab.kubectl("label", "node", "--all", f"{self.label}-")

    def label_nodes(self, *nodes: str) -> None:
        """Make nodes balancer nodes."""
        self.lab.kubectl("label", "--overwrite", "node", *nodes, f"{self.label}=")

    @contextlib.contextmanager
    def services(self, new: Sequence[str], **asked: Any) -> Iterator[None]:
        """Make Services at once; delete them at once, and see that nothing is left of them."""
        self.make(new, **asked)
        try:
            yield
        finally:
            self.delete(new)
            self.until_gone(new)

    def make(self, new: Sequence[str], **asked: Any) -> None:
        """Make Services at once."""
        self.lab.apply(*(self.user.manifest(name, **asked) for name in new))

    def delete(self, old: Sequence[str]) -> None:
        """Delete Services at once, whoever is there to take note of it."""
        self.lab.kubectl("-n", self.namespace, "delete", "--wait=false", "service", *old)

    def until_gone(self, old: Sequence[str]) -> None:
        """Wait until nothing is left of deleted Services."""
        inside.until(
            lambda: not self.children_of(old),
            "no child of the deleted Services is left",
            within_s=RIGHT_WITHIN_S,
        )

    @contextlib.contextmanager
    def powered_off(self, node: str) -> Iterator[None]:
        """Take a node's power, and give it back."""
        self.lab.change("node", "kill", node)
        try:
            yield
        finally:
            self.lab.change("node", "start", node)

    @contextlib.contextmanager
    def cordoned(self, node: str) -> Iterator[None]:
        """Have a node cordoned."""
        self.lab.kubectl("cordon", node)
        try:
            yield
        finally:
            self.lab.kubectl("uncordon", node)

    @contextlib.contextmanager
    def labelled(self, node: str, label: str) -> Iterator[None]:
        """Have a node carry a label."""
        self.lab.kubectl("label", "node", node, f"{label}=")
        try:
            yield
        finally:
            self.lab.kubectl("label", "node", node, f"{label}-")

    def until_said(self, address: str, reason: names.AnnouncedReason) -> None:
        """Wait until the status of an address's child has a reason."""
        inside.until(
            lambda: reason in {one.reason for one in self.children() if one.address == address},
            f"the status of {address} says {reason}",
        )

    def children_of(self, services: Sequence[str]) -> list[child.Child]:
        """Return all children of Services."""
        selector = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
        listed = self.lab.items("services", "-n", self.namespace, "-l", selector)
        return [one for one in map(child.decode, listed) if one.service in services]

    def given(self, services: Sequence[str], count: int) -> list[str]:
        """Wait until each Service shows so many addresses; return all."""

        def shown() -> list[str]:
            found: list[str] = []
            for item in self.lab.items("services", "-n", self.namespace):
                if item["metadata"]["name"] in services:
                    found += (e["ip"] for e in item["status"]["loadBalancer"].get("ingress", ()))
            return found if len(found) == len(services) * count else []

        return inside.until(
            shown, f"{len(services)} Services have {count} addresses each", within_s=RIGHT_WITHIN_S
        )

    def children(self, service: str = SERVICE) -> list[Kept]:
        """Return what the cluster wants of a Service's addresses, and what the speakers say."""
        return [_kept(manifest) for manifest in self.user.children(service)]

    def wrong(self, now: Mapping[str, frozenset[str]]) -> tuple[str, str]:
        """Return what is not yet as it should be on the wire, and what in the statuses."""
        kept = self.children()
        wanted = sorted(self.addresses)
        if (found := sorted(one.address for one in kept)) != wanted:
            return f"the children are of {', '.join(found)} and not {', '.join(wanted)}", ""
        wire = said = ""
        for one in kept:
            answering = {self.machine_of(mac) for mac in now.get(one.address, ())}
            if answering != {one.nodes[0]}:
                wire = (
                    f"{one.address} should be on {one.nodes[0]} and is answered by "
                    f"{', '.join(sorted(answering)) or 'nobody'}"
                )
            if one.said != one.nodes[0]:
                said = f"{one.address} should be on {one.nodes[0]} and its status names {one.said}"
        if (shown := sorted(self.user.ingress(SERVICE))) != wanted:
            said = f"the Service shows {', '.join(shown)} and not {', '.join(wanted)}"
        return wire, said

    @property
    def beside(self) -> Sequence[str]:
        """The addresses that other Services than the standing one may get."""
        return [address for address in OURS if address not in self.addresses]

    def stray(self, now: Mapping[str, frozenset[str]]) -> str:
        """Return a sentence if somebody answers for an address that no Service has."""
        answered = {address: macs for address, macs in now.items() if macs}
        if not answered:
            return ""
        selector = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
        listed = self.lab.items("services", "--all-namespaces", "-l", selector)
        given = {str(child.decode(item).address) for item in listed}
        stray = sorted(answered.keys() - given)
        who = sorted({self.machine_of(mac) for address in stray for mac in answered[address]})
        return f"{', '.join(stray)} answered by {', '.join(who)}: no child has it" if stray else ""

    def foreign(self, macs: Iterable[str]) -> list[str]:
        """Return who of these is no balancer node, by name where it is a node at all.

        Every child's list has all balancer nodes; the backend node is in none.
        """
        return sorted(name for name in {self.machine_of(mac) for mac in macs} if name not in NODES)

    def machine_of(self, mac: str) -> str:
        """Return the node with this MAC, or the MAC."""
        return self.macs.get(mac, mac)

    def _mac(self, node: str) -> str:
        return self.lab.run(node, "cat", "/sys/class/net/eth0/address").strip()


def _kept(manifest: people.Json) -> Kept:
    decoded = child.decode(manifest)
    said = announcement.decode_status(manifest, address=decoded.address)
    return Kept(
        str(decoded.address),
        tuple(decoded.nodes),
        said.node if said else None,
        said.reason if said else None,
    )


def _deployment(namespace: str) -> people.Json:
    labels = {"app": "echo"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": BACKEND},
                    "containers": [client.ECHO],
                },
            },
        },
    }
