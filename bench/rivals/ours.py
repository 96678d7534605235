# SPDX-License-Identifier: MIT
"""Ours, as the lab has installed it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.rivals import contender
from contract import announcement, child, names
from lab import inside, release

BALANCER: Final = "bench"
LABEL: Final = "bench/front"
POOL: Final = "10.77.0.128-10.77.0.159"
MANY_POOL: Final = "10.77.4.0-10.77.7.255"  # for 100 addresses and more; only the wire sees them
UP_WITHIN_S: Final = 120.0  # fifty nodes on two cores leave little for the control plane
FAILBACK_DELAY: Final = "1s"  # between samples; taking over does not depend on it


class Ours(contender.Contender):
    """The release that `python -m lab run` installs."""

    name = "l2-load-balancer"

    def install(self) -> None:
        """Make a balancer over the nodes."""
        self.lab.kubectl("label", "--overwrite", "node", *self.nodes, f"{LABEL}=")
        self.lab.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": BALANCER},
                "spec": {
                    "addressPool": [POOL, MANY_POOL],
                    "nodeSelector": {LABEL: ""},
                    "failbackDelay": FAILBACK_DELAY,
                },
            }
        )

    def serve(self, count: int, *, each: int | None = None) -> list[str]:
        """Make Services of so many addresses, the last one of what is left."""
        step = each or len(self.nodes)
        sizes = [min(step, count - first) for first in range(0, count, step)]
        services = [f"ours-{number}" for number in range(len(sizes))]
        self.lab.apply(
            *(
                contender.service(
                    name,
                    kind="LoadBalancer",
                    annotations={
                        names.SERVICE_BALANCER: BALANCER,
                        names.SERVICE_IP_COUNT: str(size),
                    },
                    loadBalancerClass=names.SERVICE_CLASS,
                )
                for name, size in zip(services, sizes, strict=True)
            )
        )
        addresses = inside.until(
            lambda: found if len(found := contender.ingress(self.lab, services)) == count else [],
            f"{count} addresses are assigned",
            within_s=UP_WITHIN_S,
        )
        inside.until(
            lambda: len(self.announced()) >= count,
            f"all {count} addresses are announced",
            within_s=UP_WITHIN_S,
        )
        return addresses

    def kill(self, node: str) -> None:
        """Kill the speaker."""
        self.lab.change("process", "kill", f"speaker-{node}")

    def stop(self, node: str) -> None:
        """Stop the speaker."""
        self.lab.change("process", "stop", f"speaker-{node}")

    def start(self, node: str) -> None:
        """Start the speaker."""
        self.lab.change("process", "start", f"speaker-{node}")

    def wait_ready(self, node: str) -> None:
        """Wait until the speaker is ready."""
        url = f"{release.SPEAKER_PAGES}readyz"
        inside.until(lambda: self.lab.fetch(node, url), f"the speaker of {node} is ready")

    def powered_on(self, node: str) -> None:
        """Leave it to the lab, which starts a node's speaker with the node."""

    def rest(self) -> None:
        """Hold Metacontroller up, which asks the webhook about every Service."""
        self.lab.change("process", "pause", "metacontroller")

    def wake(self) -> None:
        """Let it go on."""
        self.lab.change("process", "continue", "metacontroller")

    def process_ids(self, node: str) -> list[int]:
        """Return the speaker's process."""
        return [
            int(process)
            for process in self.lab.run(None, "ip", "netns", "pids", node).split()
            if b"\0-m\0speaker\0" in Path(f"/proc/{process}/cmdline").read_bytes()
        ]

    def preferred(self) -> Mapping[str, str]:
        """Return the first node of each child's list."""
        return {str(one.address): one.nodes[0] for one, _ in self._children()}

    def counters(self, node: str) -> dict[str, float]:
        """Return a speaker's metrics, each series by its name with labels."""
        page = self.lab.fetch(node, f"{release.SPEAKER_PAGES}metrics")
        lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
        return {series: float(value) for series, _, value in lines}

    def announced(self) -> list[str]:
        """Return the addresses of which a speaker says that it announces them."""
        return [
            str(one.address)
            for one, manifest in self._children()
            if (said := announcement.decode_status(manifest, address=one.address)) and said.node
        ]

    def _children(self) -> list[tuple[child.Child, contender.Json]]:
        selector = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
        manifests = self.lab.items("services", "-n", contender.NAMESPACE, "-l", selector)
        return [(child.decode(manifest), manifest) for manifest in manifests]
