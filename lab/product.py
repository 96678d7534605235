# SPDX-License-Identifier: MIT
"""The product in the lab, as an administrator installs it: Metacontroller first, then the chart."""

import asyncio
import json
from pathlib import Path
from typing import Final

import yaml

from lab import errors, images, machines, release, sandbox

METACONTROLLER: Final = Path(__file__).resolve().parent / "metacontroller"
READY_WITHIN_S: Final = 120


class Product:
    """The release that the lab starts with, and Metacontroller.

    Both run on the ``home`` node, but for the speakers: so any other node may be
    taken away, and what answers the hooks is still there.
    """

    def __init__(self, settings: sandbox.Settings) -> None:
        self._environment = sandbox.environment(settings)
        self._home = machines.node(settings.nodes).name
        self._values = settings.values
        self._changes = settings.changes

    async def install(self) -> None:
        """Install everything; return when all of it is ready."""
        await self._apply_metacontroller()
        await asyncio.gather(self._install_chart(), self._until_metacontroller_runs())

    async def _apply_metacontroller(self) -> None:
        objects = list(yaml.safe_load_all((METACONTROLLER / "install.yaml").read_text()))
        for found in objects:
            if found["kind"] == "Deployment":
                found["spec"]["template"]["spec"]["nodeSelector"] = self._at_home()
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        crds = str(METACONTROLLER / "crds")
        await asyncio.gather(
            self._run("kubectl", "apply", "-f", "-", standard_input=text),
            self._run("kubectl", "apply", "-f", crds),
        )
        # Helm asks the API server for the kinds before it sends their objects.
        await self._run(
            *("kubectl", "wait", "-f", crds, "--for=condition=Established"),
            f"--timeout={READY_WITHIN_S}s",
        )

    async def _install_chart(self) -> None:
        ours = {"webhook": {"nodeSelector": self._at_home()}}
        await self._run(
            *("helm", "install", release.NAME, str(images.CHART)),
            *("--namespace", release.NAMESPACE, "--create-namespace"),
            *("--values", "-"),
            *(["--values", self._values] if self._values else []),
            *(word for change in self._changes for word in ("--set", change)),
            *("--wait", f"--timeout={READY_WITHIN_S}s"),
            standard_input=json.dumps(ours),
        )

    async def _until_metacontroller_runs(self) -> None:
        await self._run(
            *("kubectl", "rollout", "status", "deployment/metacontroller", "-n", "metacontroller"),
            f"--timeout={READY_WITHIN_S}s",
        )

    def _at_home(self) -> dict[str, str]:
        return {"kubernetes.io/hostname": self._home}

    async def _run(self, program: str, *words: str, standard_input: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate(standard_input.encode())
        if process.returncode:
            raise errors.LabError(
                f"'{program} {' '.join(words)}' failed: {_without_chatter(complaint)}"
            )
        return output.decode()


def _without_chatter(complaint: bytes) -> str:
    """Return what a program complained of, without helm's lines of what it does meanwhile."""
    lines = complaint.decode(errors="replace").strip().splitlines()
    return "\n".join(line for line in lines if not line.startswith("level=")) or "(it said nothing)"
