# SPDX-License-Identifier: MIT
"""MetalLB in layer 2 mode, from its published Go module, at its defaults."""

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.rivals import contender
from lab import inside

MODULE: Final = "go.universe.tf/metallb"
VERSION: Final = "v0.15.2"
NAMESPACE: Final = "metallb-system"
CLASS: Final = "metallb.io/bench"
POOL: Final = "10.77.0.160-10.77.0.179"
MANY_POOL: Final = "10.77.8.0-10.77.11.255"
PORT: Final = 7473  # our speakers have its usual one, 7472
BUILD_WITHIN_S: Final = 1200.0
LABELS: Final = {"app": "metallb", "component": "speaker"}


class MetalLb(contender.Contender):
    """Controller beside the control plane, a speaker on each node, all as the administrator."""

    name = f"MetalLB {VERSION.removeprefix('v')}"

    def __init__(self, lab: inside.Lab, nodes: Sequence[str]) -> None:
        super().__init__(lab, nodes)
        self._processes = contender.Processes("metallb", lab.directory / "logs")
        self._key = secrets.token_hex(16)
        self._programs = programs_folder()
        if self._programs is None:
            self.missing = (
                f"{MODULE}@{VERSION} is not installed: run 'python -m bench.rivals.metallb'"
            )

    def install(self) -> None:
        """Apply its CRDs and objects, and start it."""
        for file in sorted((crds_folder()).glob("*.yaml")):
            self.lab.kubectl("apply", "--server-side", "-f", str(file))
        self.lab.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self.lab.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.lab.apply(
            {
                "apiVersion": "metallb.io/v1beta1",
                "kind": "IPAddressPool",
                "metadata": {"name": "bench", "namespace": NAMESPACE},
                "spec": {"addresses": [POOL, MANY_POOL]},
            },
            {
                "apiVersion": "metallb.io/v1beta1",
                "kind": "L2Advertisement",
                "metadata": {"name": "bench", "namespace": NAMESPACE},
                "spec": {"ipAddressPools": ["bench"]},
            },
        )
        for node in self.nodes:
            self._make_pod(node)
        self.wake()

    def wake(self) -> None:
        """Start controller and speakers."""
        self._processes.start(
            "",
            [self._program("controller"), "--webhook-mode=disabled", f"--lb-class={CLASS}"],
            {
                "METALLB_NAMESPACE": NAMESPACE,
                "METALLB_POD_NAME": "controller",
                "METALLB_HOST": "127.0.0.1",
            },
        )
        for node in self.nodes:
            self.start(node)

    def serve(self, count: int, *, each: int | None = None) -> list[str]:  # noqa: ARG002 - see Contender
        """Make one Service an address, as MetalLB has it."""
        services = [f"metallb-{number}" for number in range(count)]
        self.lab.apply(
            *(
                contender.service(
                    name, kind="LoadBalancer", annotations={}, loadBalancerClass=CLASS
                )
                for name in services
            )
        )
        return contender.ingress(self.lab, services)

    def kill(self, node: str) -> None:
        """Kill the speaker."""
        self._processes.end(node, signal.SIGKILL)

    def stop(self, node: str) -> None:
        """Stop the speaker."""
        self._processes.end(node, signal.SIGTERM)

    def start(self, node: str) -> None:
        """Start the speaker; what a node that lost its power left of it is buried first."""
        self._processes.end(node, signal.SIGKILL)
        address = self._address(node)
        self._processes.start(
            node,
            [self._program("speaker"), f"--port={PORT}", f"--lb-class={CLASS}"],
            {
                "METALLB_NAMESPACE": NAMESPACE,
                "METALLB_NODE_NAME": node,
                "METALLB_POD_NAME": f"speaker-{node}",
                "METALLB_HOST": address,
                "METALLB_ML_BIND_ADDR": address,
                "METALLB_ML_LABELS": ",".join(f"{key}={value}" for key, value in LABELS.items()),
                "METALLB_ML_SECRET_KEY": self._key,
            },
        )

    def rest(self) -> None:
        """End controller and speakers, as their programs hear of every Service and every ARP."""
        self._processes.close()

    def process_ids(self, node: str) -> list[int]:
        """Return the speaker's process."""
        return self._processes.ids(node)

    def close(self) -> None:
        """End controller and speakers."""
        self._processes.close()

    def _program(self, name: str) -> str:
        return str((self._programs or Path()) / name)

    def _address(self, node: str) -> str:
        shown = json.loads(self.lab.run(node, "ip", "-json", "-4", "address", "show", "eth0"))
        address: str = shown[0]["addr_info"][0]["local"]
        return address

    def _make_pod(self, node: str) -> None:
        """Make the Pod object by which speakers find each other; its process is ours to start."""
        name, address = f"speaker-{node}", self._address(node)
        self.lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS},
                "spec": {
                    "schedulerName": "nobody",  # else the node's agent would run it
                    "containers": [{"name": "speaker", "image": "none"}],
                },
            }
        )
        status = {"status": {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"}}
        self.lab.kubectl(
            *("-n", NAMESPACE, "patch", "pod", name, "--subresource=status"),
            *("--type=merge", "-p", json.dumps(status)),
        )


def programs_folder() -> Path | None:
    """Return the folder with its two programs, None when they are not installed."""
    folder = cache()
    ready = all((folder / name).is_file() for name in ("controller", "speaker"))
    return folder if ready else None


def cache() -> Path:
    """Return where this version's programs are kept, outside of the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "l2lb-bench" / f"metallb-{VERSION}"


def crds_folder() -> Path:
    """Return the manifests of its CRDs in Go's module cache."""
    answer = subprocess.run(
        ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=cache(),
    )
    return Path(json.loads(answer.stdout)["Dir"]) / "config" / "crd" / "bases"


def install_programs() -> Path:
    """Build the programs with the ordinary Go client, unless they are there; return the folder."""
    folder = programs_folder()
    if folder is None:
        folder = cache()
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [
                "go",
                "install",
                *(f"{MODULE}/{name}@{VERSION}" for name in ("controller", "speaker")),
            ],
            check=True,
            env={**os.environ, "GOBIN": str(folder)},
            timeout=BUILD_WITHIN_S,
        )
    return folder


if __name__ == "__main__":
    if shutil.which("go") is None:
        raise SystemExit(f"Go is missing, which {MODULE} is installed with")
    print(install_programs())
