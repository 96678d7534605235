# SPDX-License-Identifier: MIT
"""One node of the cluster: its machine, its agent and its kube-proxy."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lab import agent, api, controlplane, errors, machines, network, processes, sandbox

PROXY_HEALTH_PORT = 10256
EMPTY_WITHIN_S = 5.0
LEASE_INTERVAL_S = 2.0  # five of them make the controller manager's grace period


class Contained:
    """The program of a container, for whoever wants to stop it alone, beside its Pod."""

    def __init__(self, name: str, keeper: agent.Keeper) -> None:
        self._name = name
        self._keeper = keeper

    async def start(self) -> None:
        """Let the agent start it again; raise LabError when it was not stopped."""
        if not self._keeper.held:
            raise errors.LabError(f"the {self._name} was not stopped: its node keeps it running")
        self._keeper.release()

    async def stop(self) -> None:
        """Ask it to end, and insist after some seconds; the agent does not start it again."""
        await self._keeper.hold(signal.SIGTERM, within_s=processes.GRACE_S)

    async def kill(self) -> None:
        """End it at once; the agent does not start it again."""
        await self._keeper.hold(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        self._keeper.send(number)


class Node:
    """A node that can be started, stopped and killed.

    ``images`` are the container images that it has. ``fail`` gets a sentence
    when one of its own processes ends by itself.
    """

    def __init__(
        self,
        machine: machines.Machine,
        *,
        control_plane: controlplane.ControlPlane,
        programs: Path,
        images: Mapping[str, agent.Image],
        fail: Callable[[str], None],
    ) -> None:
        self.machine = machine
        self.connected = False
        self._images = images
        self._stopping = False
        self._control_plane = control_plane
        self._fail = fail
        self._directory = sandbox.NODES / machine.name
        self._api: api.Api | None = None
        self._agent: agent.NodeAgent | None = None
        self._agent_task: asyncio.Task[None] | None = None
        name = machine.name
        self._proxy = processes.Process(
            f"kube-proxy-{name}",
            [str(programs / "kube-proxy"), f"--config={self._directory / 'kube-proxy.json'}"],
            logs=sandbox.LOGS,
            on_death=fail,
            netns=name,
        )

    async def connect(self, others: Iterable[machines.Machine]) -> None:
        """Make its machine and route between it and the other nodes that are connected."""
        if self.connected:
            raise errors.LabError(f"{self.machine.name} runs already")
        await network.plug_in(self.machine, others)
        self.connected = True
        self._stopping = False

    async def start(self) -> None:
        """Start its agent and its kube-proxy on the connected machine."""
        self._make_directory()
        self._start_agent()
        self._write_proxy_config()
        await self._proxy.start()

    @property
    def programs(self) -> list[tuple[str, processes.Program]]:
        """Its programs by name, for whoever wants to stop one of them alone."""
        running = [] if self._agent is None else self._agent.programs()
        found: list[tuple[str, processes.Program]] = [(self._proxy.name, self._proxy)]
        found += [(f"{name}-{self.machine.name}", Contained(name, one)) for name, one in running]
        return found

    async def stop(self) -> None:
        """Shut it down in good order, then take its power."""
        self._must_run()
        self._stopping = True
        if self._agent is not None:
            await self._agent.drain_and_stop()
        await self._proxy.stop()
        await self.kill()

    async def kill(self) -> None:
        """Take its power: cables first, then every process at once."""
        self._must_run()
        self._stopping = True
        self.connected = False
        await network.pull_cables(self.machine)
        await asyncio.gather(self._end_agent(), self._proxy.kill())
        await self._kill_the_rest()
        await network.remove(self.machine)

    def _make_directory(self) -> None:
        """Make its folder anew, as files below /run do not outlive a machine; logs do."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        logs = sandbox.LOGS / self.machine.name
        logs.mkdir(exist_ok=True)
        (self._directory / "logs").symlink_to(logs)

    def _must_run(self) -> None:
        if not self.connected:
            raise errors.LabError(f"{self.machine.name} is off: start it first")

    def _start_agent(self) -> None:
        name = self.machine.name
        self._api = api.Api(
            controlplane.SERVER,
            token=self._control_plane.identities.token(f"system:node:{name}"),
            ca=self._control_plane.certificate,
            user_agent="lab-agent",
        )
        self._agent = agent.NodeAgent(
            name=name,
            netns=name,
            addresses=self.machine.addresses,
            pod_subnets=self.machine.pod_subnets,
            api=self._api,
            directory=self._directory,
            images=self._images,
            lease_interval_s=LEASE_INTERVAL_S,
        )
        self._agent_task = asyncio.create_task(self._agent.run(), name=f"agent-{name}")
        self._agent_task.add_done_callback(self._agent_ended)

    def _agent_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._stopping:
            return
        self._fail(f"the agent of {self.machine.name} ended: {task.exception()!r}")

    async def _end_agent(self) -> None:
        if self._agent_task is not None:
            self._agent_task.cancel()
            await asyncio.wait([self._agent_task])
        if self._api is not None:
            await self._api.aclose()

    async def _kill_the_rest(self) -> None:
        """Kill what others started in the machine, such as a tcpdump of the user."""
        async with asyncio.timeout(EMPTY_WITHIN_S):
            while found := await network.process_ids(self.machine):
                for process in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                await asyncio.sleep(0.01)

    def _write_proxy_config(self) -> None:
        kubeconfig = self._directory / "kube-proxy.kubeconfig"
        self._control_plane.write_kubeconfig(
            kubeconfig, self._control_plane.identities.token(controlplane.PROXY)
        )
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.machine.name,
            "clusterCIDR": ",".join(machines.POD_SUBNETS),
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "healthzBindAddress": f"0.0.0.0:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": "127.0.0.1:10249",
            # Its sizes belong to the machine's first network namespace, which is not ours.
            "conntrack": {"maxPerCore": 0},
        }
        (self._directory / "kube-proxy.json").write_text(json.dumps(config, indent=1))
