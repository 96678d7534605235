# SPDX-License-Identifier: MIT
"""etcd, the API server, the controller manager and the scheduler, in the lab's own namespace."""

import asyncio
import base64
import json
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx

from lab import errors, machines, processes, sandbox

ETCD = "http://127.0.0.1:2379"
SERVER = f"https://{machines.ADDRESSES[0].ip}:6443"

READY_WITHIN_S = 90.0
POLL_S = 0.05

# What a cluster without cloud, storage and autoscaling needs.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "taint-eviction-controller",
    "validatingadmissionpolicy-status-controller",
)

ADMINISTRATOR = "administrator"
CONTROLLER_MANAGER = "system:kube-controller-manager"
SCHEDULER = "system:kube-scheduler"
PROXY = "system:kube-proxy"


class Identities:
    """A token for each user of the API server that is not a ServiceAccount.

    The API server reads the file once, so it holds the tokens of all nodes that
    a lab may ever have.
    """

    def __init__(self) -> None:
        nodes = [machines.node(index).name for index in range(1, machines.MOST_NODES + 1)]
        groups = {
            ADMINISTRATOR: "system:masters",
            CONTROLLER_MANAGER: "",
            SCHEDULER: "",
            PROXY: "",
            **{f"system:node:{name}": "system:nodes" for name in nodes},
        }
        self._groups = groups
        self._tokens = {user: secrets.token_hex(16) for user in groups}

    def token(self, user: str) -> str:
        """Return a user's token."""
        return self._tokens[user]

    def write(self, path: Path) -> None:
        """Write what ``--token-auth-file`` reads: token, user, uid, groups."""
        path.touch(mode=0o600)
        path.write_text(
            "".join(
                f'{token},{user},{user},"{self._groups[user]}"\n'
                for user, token in self._tokens.items()
            )
        )


class ControlPlane:
    """The control plane's processes, and how to reach it.

    ``on_death`` gets a sentence when one of them ends on its own.
    """

    def __init__(self, settings: sandbox.Settings, *, on_death: Callable[[str], None]) -> None:
        self._programs = Path(settings.programs)
        self._directory = sandbox.DIRECTORY / "control-plane"
        self._on_death = on_death
        self.identities = Identities()
        self.certificate = self._directory / "pki" / "apiserver.crt"
        self._key = self._directory / "pki" / "apiserver.key"
        emulated = settings.emulated_version
        # All three, or one would ask another for what that does not have yet.
        self._emulation = [f"--emulated-version=kube={emulated}"] if emulated else []
        self._etcd = self._process("etcd", self._etcd_flags())
        self._apiserver = self._process("kube-apiserver", self._apiserver_flags())
        self._controller_manager = self._process(
            "kube-controller-manager", self._controller_manager_flags()
        )
        self._scheduler = self._process("kube-scheduler", self._scheduler_flags())

    async def start(self) -> None:
        """Start everything; return when the API server is ready for any request."""
        self._directory.mkdir()
        self.identities.write(self._directory / "tokens.csv")
        await asyncio.gather(self._etcd.start(), self._apiserver.start())
        await self._until_ready()
        for user in (CONTROLLER_MANAGER, SCHEDULER):
            self.write_kubeconfig(self._kubeconfig(user), self.identities.token(user))
        await asyncio.gather(self._controller_manager.start(), self._scheduler.start())

    @property
    def programs(self) -> list[processes.Process]:
        """Its programs, for whoever wants to stop one of them alone."""
        return [self._etcd, self._apiserver, self._controller_manager, self._scheduler]

    async def stop_apiserver(self) -> None:
        """Take the API server away, as an outage does."""
        await self._apiserver.kill()

    async def start_apiserver(self) -> None:
        """Bring the API server back; return when it is ready."""
        await self._apiserver.start()
        await self._until_ready()

    def write_kubeconfig(self, path: Path, token: str) -> None:
        """Write a file with which a client acts as the owner of ``token``."""
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {"server": SERVER, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": "lab", "user": {"token": token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "current-context": "lab",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))

    def _kubeconfig(self, user: str) -> Path:
        return self._directory / f"{user.removeprefix('system:')}.kubeconfig"

    def _process(self, name: str, flags: list[str]) -> processes.Process:
        return processes.Process(
            name,
            [str(self._programs / name), *flags],
            logs=sandbox.LOGS,
            on_death=self._on_death,
        )

    def _etcd_flags(self) -> list[str]:
        peer = "http://127.0.0.1:2380"
        return [
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _apiserver_flags(self) -> list[str]:
        return [
            f"--etcd-servers={ETCD}",
            f"--advertise-address={machines.ADDRESSES[0].ip}",
            "--bind-address=::",
            f"--cert-dir={self.certificate.parent}",
            f"--service-cluster-ip-range={','.join(machines.SERVICE_SUBNETS)}",
            f"--token-auth-file={self._directory / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            # The serving key does: the API server makes it before it reads these.
            f"--service-account-key-file={self._key}",
            f"--service-account-signing-key-file={self._key}",
            # Admission webhooks are called at their endpoints: no service proxy runs here.
            "--enable-aggregator-routing",
            *self._emulation,
        ]

    def _controller_manager_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig(CONTROLLER_MANAGER)}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self._key}",
            f"--root-ca-file={self.certificate}",
            "--node-monitor-period=1s",
            "--node-monitor-grace-period=10s",
            "--leader-elect=false",
            "--secure-port=0",
            *self._emulation,
        ]

    def _scheduler_flags(self) -> list[str]:
        return [
            f"--kubeconfig={self._kubeconfig(SCHEDULER)}",
            "--leader-elect=false",
            "--secure-port=0",
            *self._emulation,
        ]

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while not await self._is_ready():  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            log = processes.tail(sandbox.LOGS / "kube-apiserver.log")
            raise errors.LabError(
                f"the API server was not ready after {READY_WITHIN_S:.0f} s; "
                f"the end of its log:\n{log}"
            ) from None

    async def _is_ready(self) -> bool:
        try:
            verify = ssl.create_default_context(cafile=self.certificate)
        except (FileNotFoundError, ssl.SSLError):
            return False  # not written yet, or not to its end
        headers = {"Authorization": f"Bearer {self.identities.token(ADMINISTRATOR)}"}
        async with httpx.AsyncClient(verify=verify, trust_env=False) as http:
            try:
                answer = await http.get(f"{SERVER}/readyz", headers=headers)
            except httpx.TransportError:
                return False
        return answer.is_success
