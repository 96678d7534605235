# SPDX-License-Identifier: MIT
"""The product in the lab, as plain processes: webhook, Metacontroller and a speaker a node.

Each acts as a ServiceAccount of its own, with the rights of ``product.yaml``.
The webhook and Metacontroller run in the lab's own namespace, beside the
control plane; the speakers run in their nodes.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from lab import api, controlplane, errors, machines, processes, sandbox

MANIFESTS = sandbox.CHECKOUT / "metacontroller"
ACCOUNTS = Path(__file__).resolve().parent / "product.yaml"
CONTROLLER_CRDS = Path(__file__).resolve().parent / "metacontroller" / "crds"

WEBHOOK_IN_CLUSTER = "http://l2lb-webhook.l2lb-system/"
WEBHOOK_PORT = 8080
SPEAKER_PORT = 7472
WEBHOOK_HERE = f"http://{machines.ADDRESSES[0].ip}:{WEBHOOK_PORT}/"

TOKEN_LIFE_S = 24 * 3600
KEY_BYTES = 32
READY_WITHIN_S = 30.0
POLL_S = 0.05


class Product:
    """The product's processes; ``on_death`` gets a sentence when one ends on its own."""

    def __init__(
        self,
        settings: sandbox.Settings,
        control_plane: controlplane.ControlPlane,
        *,
        on_death: Callable[[str], None],
    ) -> None:
        self._kubectl = str(Path(settings.programs) / "kubectl")
        self._control_plane = control_plane
        self._directory = sandbox.DIRECTORY / "product"
        self._keys = self._directory / "keys"
        self._on_death = on_death
        self._webhook = self._process(
            "webhook",
            [sys.executable, "-m", "app"],
            environment={
                "L2LB_HOST": str(machines.ADDRESSES[0].ip),
                "L2LB_PORT": str(WEBHOOK_PORT),
                "L2LB_KUBE_API": controlplane.SERVER,
                "L2LB_KUBE_CA_FILE": str(control_plane.certificate),
                "L2LB_KUBE_TOKEN_FILE": str(self._token("l2lb-webhook")),
            },
        )
        self._metacontroller = self._process(
            "metacontroller", self._metacontroller_argv(settings.metacontroller)
        )

    async def start(self, administrator: api.Api) -> None:
        """Install the product and start all of it but the speakers."""
        self._keys.mkdir(parents=True)
        (self._keys / "1").write_bytes(secrets.token_bytes(KEY_BYTES))
        await asyncio.gather(self._webhook.start(), self._install())
        await asyncio.gather(
            self._identify(administrator, "metacontroller", "metacontroller"),
            self._identify(administrator, "l2lb-system", "l2lb-speaker"),
            self._identify(administrator, "l2lb-system", "l2lb-webhook"),
            self._until_ready(WEBHOOK_HERE, "webhook"),
        )
        await self._metacontroller.start()

    @property
    def programs(self) -> list[processes.Process]:
        """Its programs beside the control plane."""
        return [self._webhook, self._metacontroller]

    def speaker(self, machine: machines.Machine) -> processes.Process:
        """Return the speaker of a node, not started yet."""
        return self._process(
            f"speaker-{machine.name}",
            [sys.executable, "-m", "speaker"],
            netns=machine.name,
            environment={
                "KUBECONFIG": str(self._kubeconfig("l2lb-speaker")),
                "L2LB_NODE_NAME": machine.name,
                "L2LB_LISTEN": f"{machine.addresses[0]}:{SPEAKER_PORT}",
                "L2LB_KEYS_DIR": str(self._keys),
                # Gone when the node loses its power, still there when only the speaker ends.
                "L2LB_CACHE_FILE": str(sandbox.NODES / machine.name / "speaker.json"),
            },
        )

    async def until_speaker_ready(self, machine: machines.Machine) -> None:
        """Wait until a node's speaker knows what there is to announce."""
        url = f"http://{machine.addresses[0]}:{SPEAKER_PORT}/"
        await self._until_ready(url, f"speaker-{machine.name}")

    def _process(
        self,
        name: str,
        argv: list[str],
        *,
        netns: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> processes.Process:
        return processes.Process(
            name,
            argv,
            logs=sandbox.LOGS,
            on_death=self._on_death,
            netns=netns,
            environment=environment,
        )

    def _metacontroller_argv(self, binary: str | None) -> list[str]:
        kubeconfig = str(self._kubeconfig("metacontroller"))
        if binary is None:
            return [sys.executable, "-m", "lab.metacontroller", "--kubeconfig", kubeconfig]
        # With the defaults of 5 and 10, a child Service would take seconds to appear.
        return [
            binary,
            f"-kubeconfig={kubeconfig}",
            "-client-go-qps=150",
            "-client-go-burst=300",
            "-discovery-interval=5s",
        ]

    def _kubeconfig(self, account: str) -> Path:
        return self._directory / f"{account}.kubeconfig"

    def _token(self, account: str) -> Path:
        return self._directory / f"{account}.token"

    async def _install(self) -> None:
        """Apply the manifests as a user would, but for where the webhook is."""
        await self._run_kubectl("apply", "-f", str(ACCOUNTS), "-f", str(CONTROLLER_CRDS))
        rendered = await self._run_kubectl("kustomize", str(MANIFESTS))
        if WEBHOOK_IN_CLUSTER not in rendered:
            raise errors.LabError(f"{MANIFESTS} names no hook at {WEBHOOK_IN_CLUSTER}")
        here = rendered.replace(WEBHOOK_IN_CLUSTER, WEBHOOK_HERE)
        await self._run_kubectl("apply", "-f", "-", standard_input=here)

    async def _run_kubectl(self, *words: str, standard_input: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            self._kubectl,
            *words,
            env={**os.environ, "KUBECONFIG": str(sandbox.DIRECTORY / "kubeconfig")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, complaint = await process.communicate(standard_input.encode())
        if process.returncode:
            raise errors.LabError(
                f"'kubectl {' '.join(words)}' failed: {complaint.decode().strip()}"
            )
        return output.decode()

    async def _identify(self, administrator: api.Api, namespace: str, account: str) -> None:
        """Write the token, and a kubeconfig, with which a program acts as a ServiceAccount."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_LIFE_S},
        }
        answer = await administrator.create(path, request)
        token = answer["status"]["token"]
        self._token(account).write_text(token)
        self._control_plane.write_kubeconfig(self._kubeconfig(account), token)

    async def _until_ready(self, url: str, name: str) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S), httpx.AsyncClient(trust_env=False) as http:
                while not await _is_ready(http, url):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise errors.LabError(
                f"{name} was not ready after {READY_WITHIN_S:.0f} s; the end of its log:\n"
                f"{processes.tail(sandbox.LOGS / f'{name}.log')}"
            ) from None


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        answer = await http.get(f"{url}readyz")
    except httpx.TransportError:
        return False
    return answer.is_success
