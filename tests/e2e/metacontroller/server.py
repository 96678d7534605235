# SPDX-License-Identifier: MIT
"""An API server of the test's own, with nothing in it that could get in the way."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from lab import api, processes, programs

READY_WITHIN_S = 60.0
POLL_S = 0.1
USER_AGENT = "tests"


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """Run etcd and an API server on loopback; yield its URL and an administrator's token."""
    folder = programs.ready_folder()
    assert folder is not None, "the lab's programs are not built: run this inside `make e2e`"
    etcd_port, peer_port, port = free_ports(3)
    token = secrets.token_hex(16)
    tokens = directory / "tokens.csv"
    tokens.write_text(f"{token},administrator,administrator,system:masters\n")
    certificates = directory / "certificates"
    etcd = [
        str(folder / "etcd"),
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}",
        f"--initial-cluster=default=http://127.0.0.1:{peer_port}",
    ]
    server = [
        str(folder / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={certificates}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        # The serving key does: the API server makes it before it reads these.
        f"--service-account-signing-key-file={certificates / 'apiserver.key'}",
        f"--service-account-key-file={certificates / 'apiserver.key'}",
        # Not loopback, and nobody connects to it.
        "--advertise-address=192.0.2.1",
        "--endpoint-reconciler-type=none",
    ]
    log = directory / "kube-apiserver.log"
    async with process(etcd, directory / "etcd.log"), process(server, log) as started:
        url = f"https://127.0.0.1:{port}"
        await _until_ready(url, token, started, log)
        yield url, token


@contextlib.asynccontextmanager
async def process(argv: list[str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program, its output in ``log``; end it with SIGTERM, then SIGKILL."""
    with log.open("wb") as file:
        started = await asyncio.create_subprocess_exec(*argv, stdout=file, stderr=file)
    try:
        yield started
    finally:
        if started.returncode is None:
            started.terminate()
            try:
                async with asyncio.timeout(10):
                    await started.wait()
            except TimeoutError:
                started.kill()
                await started.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [int(bound.getsockname()[1]) for bound in sockets]


async def _until_ready(
    url: str, token: str, started: asyncio.subprocess.Process, log: Path
) -> None:
    async with (
        asyncio.timeout(READY_WITHIN_S),
        api.Api(url, token=token, user_agent=USER_AGENT) as client,
    ):
        while True:
            assert started.returncode is None, f"the API server has ended:\n{processes.tail(log)}"
            with contextlib.suppress(api.ApiError, httpx.TransportError):
                await client.get("/api/v1/namespaces/default")
                return
            await asyncio.sleep(POLL_S)
