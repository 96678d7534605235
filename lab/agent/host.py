# SPDX-License-Identifier: MIT
"""What all Pods of a node share."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import api as kube
from lab.agent import clock as clocks
from lab.agent import events, names, network, process, spec


class Host:
    """A node from within: its place, its network and every program that runs on it."""

    def __init__(
        self,
        *,
        name: str,
        netns: str,
        addresses: tuple[str, ...],
        api: kube.Api,
        directory: Path,
        logs: Path,
        images: Mapping[str, spec.Image],
        pods: network.PodNetwork,
        hosts: Mapping[str, str],
        clock: clocks.Clock,
    ) -> None:
        self.name = name
        self.netns = netns
        self.addresses = addresses
        self.api = api
        self.images = images
        self.pods = pods
        self.clock = clock
        self.events = events.Recorder(name, api, clock)
        self.doorway = network.Doorway(netns)
        self.names = names.Names(api, directory / "names", hosts)
        self.files = directory / "pods"
        self.machine = directory / "machine"  # where hostPath volumes lead
        self._logs = logs
        self._programs: set[process.Process] = set()

    async def open(self) -> None:
        """Make ready, and remove what an earlier life left."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for lost in (self.files, self.machine / "run"):
            await asyncio.to_thread(shutil.rmtree, lost, ignore_errors=True)
        await self.pods.clear()

    async def close(self) -> None:
        """Kill every program and remove the Pods' networks."""
        for program in self._programs:
            program.kill()
        await asyncio.gather(*(program.wait() for program in self._programs))
        await self.pods.clear()
        self.doorway.close()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: str,
        pass_fds: Sequence[int] = (),
    ) -> process.Process:
        """Start a program that ends with the node at the latest; ``log`` names its log file."""
        started = process.Process(
            argv, environment=environment, log=self._logs / f"{log}.log", pass_fds=pass_fds
        )
        self._programs = {program for program in self._programs if program.running}
        self._programs.add(started)
        return started
