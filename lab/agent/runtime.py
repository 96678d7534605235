# SPDX-License-Identifier: MIT
"""Starting a Pod's containers as programs, and asking them how they are."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from lab.agent import (
    contain,
    container,
    echo,
    environment,
    fields,
    host,
    network,
    probes,
    process,
    security,
    sources,
    spec,
    tokens,
    volumes,
)

ECHO_PORT = 80  # what an image without declared ports most often serves

Json = dict[str, Any]


class Runtime:
    """The containers of one Pod, within ``netns`` and at ``addresses``.

    ``pod`` gives the Pod's present state. ``tasks`` is what the watches of
    Secrets and ConfigMaps and the renewal of files belong to; :meth:`close` ends
    them.
    """

    def __init__(
        self,
        on: host.Host,
        pod: Callable[[], spec.Pod],
        *,
        netns: str,
        addresses: tuple[str, ...],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._host = on
        self._pod = pod
        self._netns = netns
        self._address = addresses[0]
        self._tasks = tasks
        self._renewal: asyncio.Task[None] | None = None
        self._facts = fields.Facts(on.name, tuple(on.addresses), addresses)
        self._sources = sources.Sources(on.api, pod().namespace, tasks)
        self._directory = on.files / pod().uid
        self._volumes = volumes.Volumes(
            pod,
            facts=self._facts,
            directory=self._directory / "volumes",
            machine=on.machine,
            read_from=self._sources,
            account=tokens.Tokens(on.api, pod(), on.clock),
        )

    async def prepare(self) -> None:
        """Make ready what containers of ours need; raise what :class:`Volumes` raises."""
        containers = (*self._pod().init_containers, *self._pod().containers)
        if not any(wanted.image in self._host.images for wanted in containers):
            return
        await self._host.names.ready.wait()
        await self._volumes.prepare()
        self._renewal = self._tasks.create_task(self._volumes.keep())

    def refresh(self) -> None:
        """Take note that the Pod's labels or annotations changed."""
        self._sources.changed.set()

    def close(self) -> None:
        """Remove the Pod's files, once its containers have ended."""
        self._sources.close()
        if self._renewal is not None:
            self._renewal.cancel()
        shutil.rmtree(self._directory, ignore_errors=True)

    async def launch(self, wanted: spec.Container) -> process.Process:
        """Start a container."""
        image = self._host.images.get(wanted.image)
        try:
            if image is not None:
                return await self._contain(await self._plan(wanted, image), self._log(wanted))
            if wanted in self._pod().init_containers:
                return self._host.spawn(("true",), environment=_path(), log=self._log(wanted))
            return await self._echo(wanted)
        except spec.UnsupportedError as error:
            raise container.CannotStartError("CreateContainerConfigError", str(error)) from error
        except OSError as error:
            raise container.CannotStartError("RunContainerError", str(error)) from error

    def prober(self, wanted: spec.Container, running: process.Process) -> probes.Prober:
        """Return what probes a container; an echo server passes every exec probe."""
        image = self._host.images.get(wanted.image)

        async def execute(argv: Sequence[str], _: float) -> str:
            if image is None:
                return ""
            plan = {**await self._plan(wanted, image), "join": running.pid, "argv": list(argv)}
            log = f"{self._log(wanted)}.exec"
            try:
                started = await self._contain(plan, log)
            except container.CannotStartError as error:
                return str(error)
            try:
                code = await started.wait()
            finally:
                started.kill()
            return f"{argv[0]} ended with status {code}: see {log}.log" if code else ""

        return probes.Prober(self._host.doorway, self._address, execute)

    async def _plan(self, wanted: spec.Container, image: spec.Image) -> Json:
        """Return what :mod:`lab.agent.contain` needs to know."""
        pod = self._pod()
        capabilities = security.capabilities(wanted.name, wanted.security, image)
        hostname = self._host.name if pod.host_network else pod.name
        variables = await environment.resolve(
            pod,
            wanted,
            facts=self._facts,
            read=self._sources.read,
            inherited={
                **image.environment,
                "HOSTNAME": hostname,
                **self._host.names.environment(),
            },
        )
        root = self._directory / "roots" / wanted.name
        root.mkdir(parents=True, exist_ok=True)
        names = {"path": "/.names", "source": str(self._host.names.directory), "read_only": True}
        given = [environment.expand(word, variables) for word in (*wanted.command, *wanted.args)]
        return {
            "join": 0,
            "netns": str(network.NAMESPACES / self._netns),
            "own_network": not pod.host_network,
            "hostname": hostname,
            "root": str(root),
            "volumes": [names, *self._volumes.mounts(wanted)],
            "links": {"/etc/hosts": "/.names/hosts", "/etc/resolv.conf": "/.names/resolv.conf"},
            "paths": list(image.paths),
            "read_only": wanted.security.read_only_root,
            "capabilities": capabilities,
            "no_new_privileges": wanted.security.no_new_privileges,
            "directory": wanted.working_dir or "/",
            "argv": given if wanted.command else [*image.argv, *given],
            "environment": variables,
        }

    async def _contain(self, plan: Json, log: str) -> process.Process:
        """Start a program as the plan says; raise when it does not come to be executed."""
        given = os.memfd_create("plan")
        os.write(given, json.dumps(plan).encode())
        os.lseek(given, 0, os.SEEK_SET)
        started, complaint = await self._start(contain.__file__, [str(given)], log, (given,))
        if complaint:
            await started.wait()
            raise container.CannotStartError("RunContainerError", complaint.decode())
        return started

    async def _echo(self, wanted: spec.Container) -> process.Process:
        pod = self._pod()
        ports = [f"{port.number}/{port.protocol}" for port in wanted.ports]
        silent = not any(other.ports for other in pod.containers)
        if silent and wanted == pod.containers[0]:
            ports = [f"{ECHO_PORT}/TCP"]
        identity = (pod.namespace, pod.name, self._host.name)
        log = self._log(wanted)
        enter = ("nsenter", f"--net={network.NAMESPACES / self._netns}")
        started, listening = await self._start(echo.__file__, [*identity, *ports], log, enter=enter)
        if not listening:
            status = await started.wait()
            raise container.CannotStartError(
                "RunContainerError",
                f"the echo server of {wanted.name!r} ended with status {status} before it "
                f"listened: see {log}.log",
            )
        return started

    async def _start(
        self,
        program: str,
        arguments: Sequence[str],
        log: str,
        given: tuple[int, ...] = (),
        *,
        enter: Sequence[str] = (),
    ) -> tuple[process.Process, bytes]:
        """Start a Python program of ours; return what it said on its ready pipe until it closed.

        The pipe's number is its first argument. ``given`` are handed down and
        closed here.
        """
        readable, writable = os.pipe()
        argv = [*enter, sys.executable, "-I", "-S", program, str(writable), *arguments]
        try:
            started = self._host.spawn(
                argv, environment=_path(), log=log, pass_fds=(writable, *given)
            )
        except OSError:
            os.close(readable)
            raise
        finally:
            for descriptor in (writable, *given):
                os.close(descriptor)
        try:
            return started, await _read(readable)
        except BaseException:
            started.kill()
            raise
        finally:
            os.close(readable)

    def _log(self, wanted: spec.Container) -> str:
        return f"{self._pod().namespace}_{self._pod().name}_{wanted.name}"


def _path() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}


async def _read(descriptor: int) -> bytes:
    """Read a pipe until its last writer closed it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    received = b""
    try:
        while True:
            await readable.wait()
            readable.clear()
            chunk = os.read(descriptor, 4096)
            if not chunk:
                return received
            received += chunk
    finally:
        loop.remove_reader(descriptor)
