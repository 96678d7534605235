# SPDX-License-Identifier: MIT
"""The product in the lab, as an administrator installs it: Metacontroller first, then the chart."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import yaml

from lab import api, errors, images, machines, release, sandbox

METACONTROLLER: Final = Path(__file__).resolve().parent / "metacontroller"
READY_WITHIN_S: Final = 120.0
POLL_S: Final = 0.1

_CLUSTERWIDE: Final = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Namespace": "/api/v1/namespaces",
}
_NAMESPACED: Final = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}
_WORKLOADS: Final = (
    "/apis/apps/v1/namespaces/metacontroller/deployments/metacontroller",
    f"/apis/apps/v1/namespaces/{release.NAMESPACE}/deployments/l2lb-webhook",
    f"/apis/apps/v1/namespaces/{release.NAMESPACE}/daemonsets/l2lb-speaker",
)


class Product:
    """The release that the lab starts with, and Metacontroller.

    Both run on the ``home`` node, but for the speakers: so any other node may be
    taken away, and what answers the hooks is still there.
    """

    def __init__(self, settings: sandbox.Settings, administrator: api.Api) -> None:
        self._api = administrator
        self._environment = sandbox.environment(settings)
        self._home = machines.node(settings.nodes).name
        self._values = settings.values
        self._changes = settings.changes

    async def install(self) -> None:
        """Install everything; return when all of it is ready."""
        await self._install_metacontroller()
        await self._install_chart()
        for path in _WORKLOADS:
            await self._until(path, is_ready, "ready")

    async def _install_metacontroller(self) -> None:
        files = [METACONTROLLER / "install.yaml", *sorted((METACONTROLLER / "crds").iterdir())]
        objects = [one for file in files for one in yaml.safe_load_all(file.read_text())]
        for found in objects:
            if found["kind"] == "Deployment":
                found["spec"]["template"]["spec"]["nodeSelector"] = self._at_home()
            await self._api.patch(_path(found), found, kind="apply")
        # Helm asks the API server for the kinds before it sends their objects.
        for found in objects:
            if found["kind"] == "CustomResourceDefinition":
                await self._until(_path(found), is_established, "established")

    async def _install_chart(self) -> None:
        ours = {"webhook": {"nodeSelector": self._at_home()}}
        await self._helm(
            *("install", release.NAME, str(images.CHART)),
            *("--namespace", release.NAMESPACE, "--create-namespace"),
            *("--values", "-"),
            *(["--values", self._values] if self._values else []),
            *(word for change in self._changes for word in ("--set", change)),
            f"--timeout={READY_WITHIN_S:.0f}s",
            standard_input=json.dumps(ours),
        )

    def _at_home(self) -> dict[str, str]:
        return {"kubernetes.io/hostname": self._home}

    async def _until(self, path: str, test: Callable[[api.Json], bool], what: str) -> None:
        """Wait until an object passes a test."""
        found: api.Json = {}
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not test(found):
                    await asyncio.sleep(POLL_S)
                    try:
                        found = await self._api.get(path)
                    except httpx.TransportError:
                        continue
        except TimeoutError:
            raise errors.LabError(
                f"{path} is not {what} after {READY_WITHIN_S:.0f} s: its status is "
                f"{json.dumps(found.get('status'))}; see '--logs FOLDER'"
            ) from None

    async def _helm(self, *words: str, standard_input: str) -> None:
        process = await asyncio.create_subprocess_exec(
            "helm",
            *words,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaint = await process.communicate(standard_input.encode())
        if process.returncode:
            raise errors.LabError(f"'helm {' '.join(words)}' failed: {without_chatter(complaint)}")


def _path(found: api.Json) -> str:
    kind, metadata = found["kind"], found["metadata"]
    collection = _CLUSTERWIDE.get(kind) or _NAMESPACED[kind].format(metadata["namespace"])
    return f"{collection}/{metadata['name']}"


def is_established(crd: api.Json) -> bool:
    """Whether objects of a CustomResourceDefinition's kind can be created."""
    conditions = crd.get("status", {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Established", "True") for one in conditions)


def is_ready(workload: api.Json) -> bool:
    """Whether all Pods of a Deployment or DaemonSet are ready; not how long they have been."""
    status = workload.get("status", {})
    wanted = status.get("desiredNumberScheduled", workload.get("spec", {}).get("replicas", 0))
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    return bool(wanted) and ready >= wanted


def without_chatter(complaint: bytes) -> str:
    """Return what a program complained of, without helm's lines of what it does meanwhile."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("level=")) or "(it said nothing)"
