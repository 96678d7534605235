# SPDX-License-Identifier: MIT
"""Scenes of an operator's life, played in the lab while its metrics are recorded.

A scene is a context: it has been played when the context is open, and is undone when it closes.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from contract import names
from lab import inside, release

NODE: Final = "node-2"
LABEL: Final = "scenes"
BALANCER: Final = "front"
NAMESPACE: Final = "scenes"
SERVICE: Final = "web"
POOL: Final = "10.77.0.200-10.77.0.219"
STRANGER: Final = "stranger"
SPLIT: Final = "split"
BROKEN_CALL: Final = '{"no": "hook request"}'
CALM_S: Final = 20.0  # before and after what happens


class Stage:
    """A balancer on all nodes but the last, which runs the webhook, and a Service of it."""

    def __init__(self, lab: inside.Lab) -> None:
        self.lab = lab
        self.nodes = lab.nodes()

    @contextlib.contextmanager
    def built(self) -> Iterator[None]:
        """Build it with three addresses that are announced, and clear it."""
        self.lab.kubectl("label", "--overwrite", "node", *self.nodes[:-1], f"{LABEL}=")
        self.balance()
        self.lab.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.serve(3)
        try:
            yield
        finally:
            self.lab.kubectl("delete", "namespace", NAMESPACE)
            self.lab.kubectl("delete", names.PLURAL, BALANCER)

    def balance(self, **spec: Any) -> None:
        """Make the balancer, or give it these fields."""
        self.lab.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": BALANCER},
                "spec": {
                    "addressPool": [POOL],
                    "nodeSelector": {LABEL: ""},
                    "failbackDelay": "1s",
                    **spec,
                },
            }
        )

    def serve(self, count: int) -> list[str]:
        """Ask for so many addresses; return them when they are there."""
        self.lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {
                    "name": SERVICE,
                    "namespace": NAMESPACE,
                    "annotations": {
                        names.SERVICE_BALANCER: BALANCER,
                        names.SERVICE_IP_COUNT: str(count),
                    },
                },
                "spec": {
                    "type": "LoadBalancer",
                    "loadBalancerClass": names.SERVICE_CLASS,
                    "ports": [{"port": 80}],
                },
            }
        )

        def given() -> list[str]:
            status = self.lab.get("service", SERVICE, "-n", NAMESPACE)["status"]
            found = [entry["ip"] for entry in status["loadBalancer"].get("ingress", [])]
            return found if len(found) == count else []

        return inside.until(given, f"the Service has {count} addresses")

    def believes(self, node: str) -> Mapping[str, Any]:
        """Return a speaker's `/status`."""
        page = self.lab.fetch(node, f"{release.SPEAKER_PAGES}status")
        found: Mapping[str, Any] = json.loads(page)
        return found

    def hears(self, node: str) -> set[str]:
        """Return the nodes whose speakers this node's speaker takes for alive."""
        return {peer["node"] for peer in self.believes(node)["peers"] if peer["alive"]}


@contextlib.contextmanager
def calm(_: Stage) -> Iterator[None]:
    """Do nothing."""
    time.sleep(3 * CALM_S)
    yield


@contextlib.contextmanager
def failover(stage: Stage) -> Iterator[None]:
    """Kill a speaker, and start it again."""
    time.sleep(CALM_S)
    _die_and_return(stage)
    time.sleep(CALM_S)
    yield


@contextlib.contextmanager
def flapping(stage: Stage) -> Iterator[None]:
    """Kill a speaker six times, and start it again each time."""
    time.sleep(CALM_S)
    for _ in range(6):
        _die_and_return(stage)
    yield


@contextlib.contextmanager
def deaf(stage: Stage) -> Iterator[None]:
    """Let the switch pass no heartbeats to a node; what it sends gets through."""
    time.sleep(CALM_S)
    hook = f'type filter hook egress device "port-{NODE}" priority 0;'
    rules = (
        f"add table netdev {SPLIT}",
        f"add chain netdev {SPLIT} out {{ {hook} }}",
        f"add rule netdev {SPLIT} out ether type 0x88b5 drop",
    )
    stage.lab.run(None, "nft", "-f", "-", standard_input="".join(f"{rule}\n" for rule in rules))
    try:
        inside.until(lambda: not stage.hears(NODE), f"{NODE} hears nobody")
        time.sleep(CALM_S)
        yield
    finally:
        stage.lab.run(None, "nft", "delete", "table", "netdev", SPLIT)


@contextlib.contextmanager
def conflict(stage: Stage) -> Iterator[None]:
    """Let a host of the segment claim an address that is announced, again and again."""
    (address, *_) = stage.serve(3)
    stage.lab.change("machine", "add", STRANGER)
    time.sleep(CALM_S)
    stage.lab.run(STRANGER, "ip", "address", "add", f"{address}/24", "dev", "eth0")
    for _ in range(round(CALM_S)):
        stage.lab.run(STRANGER, "ip", "neighbour", "flush", "dev", "eth0")
        # Its question for somebody else tells everybody that it has the address.
        with contextlib.suppress(inside.CommandError):
            stage.lab.run(STRANGER, "ping", "-c1", "-W1", "-I", address, "10.77.0.100")
        time.sleep(1.0)
    stage.lab.run(STRANGER, "ip", "address", "del", f"{address}/24", "dev", "eth0")
    yield


@contextlib.contextmanager
def nowhere(stage: Stage) -> Iterator[None]:
    """Name an interface in the balancer that no node has."""
    time.sleep(CALM_S)
    stage.balance(interfaces=["absent0"])
    time.sleep(CALM_S)
    yield


@contextlib.contextmanager
def full(stage: Stage) -> Iterator[None]:
    """Ask for all addresses of the pool but one."""
    time.sleep(CALM_S)
    stage.serve(19)
    time.sleep(CALM_S)
    yield


@contextlib.contextmanager
def refusing(stage: Stage) -> Iterator[None]:
    """Ask a hook what is no request, again and again."""
    path = f"/api/v1/namespaces/{release.NAMESPACE}/pods/https:{{}}:{release.WEBHOOK_PORT}/proxy"
    pods = stage.lab.items("pods", "-n", release.NAMESPACE, "-l", release.WEBHOOKS)
    began = time.monotonic()
    while time.monotonic() - began < 2 * CALM_S:
        for pod in pods:
            with contextlib.suppress(inside.CommandError):  # it is refused, as it should be
                stage.lab.kubectl(
                    *("create", "-f", "-", "--raw"),
                    f"{path.format(pod['metadata']['name'])}/hooks/balancer/sync",
                    standard_input=BROKEN_CALL,
                )
        time.sleep(1.0)
    yield


@contextlib.contextmanager
def uncalled(stage: Stage) -> Iterator[None]:
    """Stop Metacontroller."""
    time.sleep(CALM_S)
    stage.lab.change("process", "stop", "metacontroller")
    try:
        time.sleep(2 * CALM_S)
        yield
    finally:
        stage.lab.change("process", "start", "metacontroller")


@contextlib.contextmanager
def unwatched(stage: Stage) -> Iterator[None]:
    """Stop the API server."""
    time.sleep(CALM_S)
    stage.lab.change("apiserver", "stop")
    try:
        time.sleep(2 * CALM_S)
        yield
    finally:
        stage.lab.change("apiserver", "start")


Scene = Callable[[Stage], contextlib.AbstractContextManager[None]]

ALL: Final[Mapping[str, Scene]] = {
    scene.__name__: scene
    for scene in (
        *(calm, failover, flapping, deaf, conflict),
        *(nowhere, full, refusing, uncalled, unwatched),
    )
}


def _die_and_return(stage: Stage) -> None:
    observer = stage.nodes[0]
    stage.lab.change("process", "kill", f"speaker-{NODE}")
    inside.until(lambda: NODE not in stage.hears(observer), f"{NODE} is dead to {observer}")
    stage.lab.change("process", "start", f"speaker-{NODE}")
    inside.until(lambda: NODE in stage.hears(observer), f"{NODE} is alive to {observer}")
