# SPDX-License-Identifier: MIT
"""One program that makes nodes answer for addresses, as the scenarios see it."""

import abc
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab import errors, inside, network

Json = dict[str, Any]

NAMESPACE: Final = "bench"
SELECTOR: Final = {"app": "bench-echo"}
PORTS: Final = [{"port": 80, "targetPort": 8080}]
_ENDS_WITHIN_S: Final = 20.0


class Contender(abc.ABC):
    """A program under measurement; `nodes` are the machines that it may use.

    All methods block. `missing` is why it cannot run on this machine, None when it can; then
    nothing else is called.
    """

    name: str
    missing: str | None = None

    def __init__(self, lab: inside.Lab, nodes: Sequence[str]) -> None:
        self.lab = lab
        self.nodes = tuple(nodes)

    @abc.abstractmethod
    def install(self) -> None:
        """Bring it up on all its nodes."""

    @abc.abstractmethod
    def serve(self, count: int, *, each: int | None = None) -> list[str]:
        """Return so many addresses that lead to the echo Pods; called once.

        `each` is how many belong to one Service; unset, as many as there are nodes. Those whose
        Services have one address only take no notice of it.
        """

    @abc.abstractmethod
    def kill(self, node: str) -> None:
        """Send SIGKILL to it on a node."""

    @abc.abstractmethod
    def stop(self, node: str) -> None:
        """Send SIGTERM to it on a node and wait until it has ended."""

    @abc.abstractmethod
    def start(self, node: str) -> None:
        """Start it again on a node where it was killed or stopped."""

    @abc.abstractmethod
    def process_ids(self, node: str) -> list[int]:
        """Return the processes that do its work on a node."""

    def wait_ready(self, node: str) -> None:  # noqa: B027 - not everybody can be asked
        """Wait as a DaemonSet's controller would before it goes on; some have nothing to ask."""

    def powered_on(self, node: str) -> None:
        """Start it on a node that had lost its power; unless the lab does that itself."""
        self.start(node)

    def preferred(self) -> Mapping[str, str]:
        """Return the node that should hold each address when all is well, where that is known."""
        return {}

    def rest(self) -> None:  # noqa: B027 - who does nothing that another pays for need not
        """Do nothing with Services and frames until `wake`; addresses may go unanswered."""

    def wake(self) -> None:  # noqa: B027
        """Work again; some seconds may pass until all is as before."""

    def close(self) -> None:  # noqa: B027 - ours starts none: the lab does
        """End every process that this object started."""


class Processes:
    """The processes of one rival, one a node, children of this program."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name = name
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, where: str, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        """Run a program on a machine, its output in a log beside the others of the lab."""
        if where in self._running:
            raise errors.LabError(f"{self._name} runs on {where} already")
        with (self._directory / f"{self._name}-{where}.log").open("ab") as log:
            self._running[where] = subprocess.Popen(
                network.inside(None if where == "" else where, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    def end(self, where: str, number: signal.Signals) -> None:
        """Send a signal to a machine's process and its children, and wait for the end."""
        process = self._running.pop(where, None)
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise errors.LabError(
                f"{self._name} on {where} did not end within {_ENDS_WITHIN_S:.0f} s"
            ) from None

    def ids(self, where: str) -> list[int]:
        """Return a machine's process and all its descendants."""
        return _with_descendants(self._running[where].pid)

    def close(self) -> None:
        """Kill them all."""
        for where in list(self._running):
            self.end(where, signal.SIGKILL)


def _with_descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in _with_descendants(int(child)))]


def service(name: str, *, kind: str, annotations: Mapping[str, str], **spec: Any) -> Json:
    """Return the manifest of a Service in front of the echo Pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": dict(annotations)},
        "spec": {"type": kind, "selector": SELECTOR, "ports": PORTS, **spec},
    }


def ingress(lab: inside.Lab, names: Sequence[str]) -> list[str]:
    """Wait until each of these Services has addresses; return them all, in order."""

    def found() -> list[str]:
        listed = {
            item["metadata"]["name"]: item["status"].get("loadBalancer", {}).get("ingress", [])
            for item in lab.items("services", "-n", NAMESPACE)
        }
        if not all(listed.get(name) for name in names):
            return []
        return [entry["ip"] for name in names for entry in listed[name]]

    return inside.until(found, f"Services {names[0]} to {names[-1]} have addresses", within_s=120)
