# SPDX-License-Identifier: MIT
"""The lab as the scenarios want it: nodes that announce, one with the Pods, client, watcher."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.common import wire
from bench.rivals import contender, keepalived, metallb, ours
from lab import client, errors, inside

PODS: Final = 3
SETTLED_WITHIN_S: Final = 120.0
FEWEST_NODES: Final = 3
WOKEN_S: Final = 10.0  # until programs that were started know each other and all Services


class World:
    """A lab with Pods to reach.

    The last node carries the Pods and never announces, so that no fault takes a Pod with it:
    connections that the service proxy sends to a dead node's Pod are the proxy's loss. `only`
    leaves out everybody whose name does not contain it.
    """

    def __init__(self, lab: inside.Lab, *, only: str = "") -> None:
        self.lab = lab
        self._only = only
        nodes = sorted(lab.nodes(), key=lambda name: int(name.rpartition("-")[2]))
        if len(nodes) < FEWEST_NODES:
            raise errors.LabError(
                f"the lab has {len(nodes)} nodes, which is too few: start it with '--nodes 6'"
            )
        self.nodes: Sequence[str] = tuple(nodes[:-1])
        self.backend = nodes[-1]
        self.client = client.Client(lab)
        self.wire = wire.Wire(lab)
        self._machine_of = {link: node for node in self.nodes for link in self._macs(node)}

    def prepare(self) -> None:
        """Start the Pods."""
        self.lab.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": contender.NAMESPACE}}
        )
        self.lab.apply(_deployment(self.backend))
        self.lab.kubectl(
            *("-n", contender.NAMESPACE, "rollout", "status", "deployment/echo", "--timeout=60s")
        )

    @contextlib.contextmanager
    def contenders(self) -> Iterator[list[contender.Contender]]:
        """Bring up everybody who can run here; `missing` says why the others cannot."""
        everybody: list[contender.Contender] = [
            ours.Ours(self.lab, self.nodes),
            metallb.MetalLb(self.lab, self.nodes),
            *(
                keepalived.Keepalived(self.lab, self.nodes, advert_s=seconds)
                for seconds in (keepalived.DEFAULT_ADVERT_S, keepalived.FAST_ADVERT_S)
            ),
        ]
        with contextlib.ExitStack() as started:
            for one in everybody:
                if self._only not in one.name:
                    one.missing = f"left out by --only {self._only}"
                if one.missing is None:
                    started.callback(one.close)
                    one.install()
            yield everybody

    @contextlib.contextmanager
    def alone(
        self, one: contender.Contender | None, everybody: Sequence[contender.Contender]
    ) -> Iterator[None]:
        """Let all others rest meanwhile, whose work with the same Services and frames takes time.

        Without one, everybody rests.
        """
        others = [other for other in everybody if other is not one and other.missing is None]
        for other in others:
            other.rest()
        try:
            yield
        finally:
            for other in others:
                other.wake()
            if others:
                time.sleep(WOKEN_S)

    def machine_of(self, mac: str | None) -> str | None:
        """Return the node with this MAC."""
        return self._machine_of.get(mac or "")

    def settle(self, addresses: Sequence[str], preferred: Mapping[str, str]) -> None:
        """Wait until exactly one MAC answers for each address, twice, and the preferred node's.

        Raises TimeoutError.
        """

        def settled() -> bool:
            return all(self._is_settled(addresses, preferred) for _ in range(2))

        inside.until(
            settled,
            f"one node, the preferred one, answers for each of {', '.join(addresses)}",
            within_s=SETTLED_WITHIN_S,
        )

    def settle_all(
        self, everybody: Sequence[contender.Contender], addresses: Mapping[str, Sequence[str]]
    ) -> None:
        """Wait until the addresses of all who are there have settled, by a contender's name.

        A cable that is cut and a node that fails strike everybody, whoever's turn it is. Raises
        TimeoutError.
        """
        preferred: dict[str, str] = {}
        for one in everybody:
            if one.missing is None:
                preferred.update(one.preferred())
        self.settle([address for mine in addresses.values() for address in mine], preferred)

    def refresh(self, addresses: Sequence[str]) -> None:
        """Let the client ask anew for the addresses, so that it uses who answers now."""
        for address in addresses:
            self.client.forget(address)
        inside.until(
            lambda: all(self.client.ask(address) for address in addresses),
            "the client reaches each address",
        )

    def cut(self, node: str) -> None:
        """Pull a node's cable out of the switch."""
        self.lab.run(None, "ip", "link", "set", f"port-{node}", "nomaster")

    def plug(self, node: str) -> None:
        """Put it back."""
        self.lab.run(None, "ip", "link", "set", f"port-{node}", "master", "switch")

    def used_node(self, address: str) -> str:
        """Return the node that the client sends to for this address at this moment."""
        mac = self.client.mac_of(address)
        node = self.machine_of(mac)
        if node is None:
            raise errors.LabError(f"the client sends {address} to {mac}, which is no node's MAC")
        return node

    def _is_settled(self, addresses: Sequence[str], preferred: Mapping[str, str]) -> bool:
        for address, macs in self.wire.macs(addresses).items():
            nodes = {self.machine_of(mac) for mac in macs}
            if len(nodes) != 1 or preferred.get(address, *nodes) not in nodes:
                return False
        return True

    def _macs(self, node: str) -> list[str]:
        return self.lab.run(node, "cat", "/sys/class/net/eth0/address").split()


def _deployment(node: str) -> contender.Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "echo", "namespace": contender.NAMESPACE},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": contender.SELECTOR},
            "template": {
                "metadata": {"labels": contender.SELECTOR},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "containers": [client.ECHO],
                },
            },
        },
    }
