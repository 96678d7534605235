# SPDX-License-Identifier: MIT
"""Starting a Pod's containers as programs, and asking them how they are."""

import asyncio
import os
import sys
from pathlib import Path

from lab.agent import container, echo, host, network, probes, process, spec

ECHO_PORT = 80  # what an image without declared ports most often serves
ECHO = Path(echo.__file__)


class Runtime:
    """The containers of one Pod, within ``netns`` and at ``address``."""

    def __init__(self, on: host.Host, pod: spec.Pod, netns: str, address: str) -> None:
        self._host = on
        self._pod = pod
        self._netns = netns
        self._address = address

    async def launch(self, wanted: spec.Container) -> process.Process:
        """Start a container."""
        return await self._echo(wanted)

    def prober(self, _: spec.Container, __: process.Process) -> probes.Prober:
        """Return what probes a container; an echo server passes every exec probe."""
        return probes.Prober(self._host.doorway, self._address, _pass)

    async def _echo(self, wanted: spec.Container) -> process.Process:
        readable, writable = os.pipe()
        try:
            started = self._spawn_echo(wanted, writable)
        except OSError as error:
            os.close(readable)
            raise container.CannotStartError("RunContainerError", str(error)) from error
        finally:
            os.close(writable)
        try:
            # Reading ends when the server listens, or with the last writer, the server.
            listening = await _read_byte(readable)
        except BaseException:
            started.kill()
            raise
        finally:
            os.close(readable)
        if not listening:
            status = await started.wait()
            raise container.CannotStartError(
                "RunContainerError",
                f"the echo server of {wanted.name!r} ended with status {status} before it "
                f"listened: see {self._log(wanted)}.log",
            )
        return started

    def _spawn_echo(self, wanted: spec.Container, ready: int) -> process.Process:
        ports = [f"{port.number}/{port.protocol}" for port in wanted.ports]
        silent = not any(container.ports for container in self._pod.containers)
        if silent and wanted == self._pod.containers[0]:
            ports = [f"{ECHO_PORT}/TCP"]
        identity = (self._pod.namespace, self._pod.name, self._host.name)
        argv = (sys.executable, "-I", "-S", str(ECHO), *identity, str(ready), *ports)
        return self._host.spawn(
            ("nsenter", f"--net={network.NAMESPACES / self._netns}", *argv),
            environment={"PATH": os.environ["PATH"]},
            log=self._log(wanted),
            pass_fds=(ready,),
        )

    def _log(self, wanted: spec.Container) -> str:
        return f"{self._pod.namespace}_{self._pod.name}_{wanted.name}"


async def _read_byte(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 1)


async def _pass(_: tuple[str, ...], __: float) -> str:
    return ""
