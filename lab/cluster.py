# SPDX-License-Identifier: MIT
"""The cluster of a lab: its machines, its control plane, its nodes and the product in it."""

import asyncio
import re
from pathlib import Path

import httpx

from lab import (
    api,
    controlplane,
    errors,
    images,
    machines,
    network,
    node,
    processes,
    product,
    progress,
    sandbox,
)

READY_WITHIN_S = 60.0
POLL_S = 0.1


class Cluster:
    """Everything that runs in one lab; :meth:`perform` changes it on request.

    ``failure`` is done with a sentence as soon as something broke by itself.
    """

    def __init__(self, settings: sandbox.Settings, told: progress.Progress) -> None:
        self._settings = settings
        self._told = told
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._control_plane = controlplane.ControlPlane(settings, on_death=self.fail)
        self._images = images.all_of_them(settings.metacontroller)
        self._machines = [machines.client()]
        self._nodes: dict[str, node.Node] = {}
        # Changes of the lab happen one after another: two commands may run at the same time.
        self._changing = asyncio.Lock()

    def fail(self, sentence: str) -> None:
        """Note that the lab is broken; the first cause counts."""
        if not self.failure.done():
            self.failure.set_result(sentence)

    async def start(self) -> None:
        """Bring the whole lab up."""
        self._told.say(f"Metacontroller: {self._settings.metacontroller_name}")
        await network.make_switches()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._control_plane.start())
            tasks.create_task(asyncio.to_thread(images.compile_ahead))
            tasks.create_task(self._make_machines())
        self._told.say("the API server is ready")
        administrator = self._control_plane.identities.token(controlplane.ADMINISTRATOR)
        kubeconfig = sandbox.DIRECTORY / "kubeconfig"
        self._control_plane.write_kubeconfig(kubeconfig, administrator)
        calls = api.Api.from_kubeconfig(kubeconfig, user_agent="lab")
        async with calls, asyncio.TaskGroup() as tasks:
            for started in self._nodes.values():
                tasks.create_task(started.start())
            tasks.create_task(self._until_nodes_ready(calls))
            if self._settings.product:
                tasks.create_task(self._install_product(calls))

    async def perform(self, words: list[str]) -> str:
        """Do what a command inside the lab asks for; return a sentence of what was done."""
        async with self._changing:
            match words:
                case ["node", "add"]:
                    added = await self._add_node()
                    await added.start()
                    return f"{added.machine.name} is on"
                case ["node", "start", name]:
                    started = self._node(name)
                    await started.connect(self._connected())
                    await started.start()
                    return f"{name} is on"
                case ["node", "stop", name]:
                    await self._node(name).stop()
                    return f"{name} has shut down"
                case ["node", "kill", name]:
                    await self._node(name).kill()
                    return f"{name} has lost its power"
                case ["apiserver", "stop"]:
                    await self._control_plane.stop_apiserver()
                    return "the API server is gone"
                case ["apiserver", "start"]:
                    await self._control_plane.start_apiserver()
                    return "the API server is back"
                case ["process", action, name]:
                    return await self._perform(action, name)
                case ["machine", "add", name]:
                    machine = machines.stranger(name, self._machines)
                    await network.plug_in(machine, [])
                    self._machines.append(machine)
                    return f"{name} is on the switches, with {' and '.join(machine.addresses)}"
        raise errors.LabError(f"the lab cannot do {' '.join(words)!r}")

    async def _install_product(self, administrator: api.Api) -> None:
        await product.Product(self._settings, administrator).install()
        self._told.say("the product is installed and ready")

    async def _make_machines(self) -> None:
        await network.plug_in(machines.client(), [])
        for _ in range(self._settings.nodes):
            await self._add_node()

    async def _add_node(self) -> node.Node:
        """Connect the next node; its programs are not started yet."""
        machine = machines.node(len(self._nodes) + 1)
        added = node.Node(
            machine,
            control_plane=self._control_plane,
            programs=Path(self._settings.programs),
            images=self._images,
            fail=self.fail,
        )
        await added.connect(self._connected())
        self._machines.append(machine)
        self._nodes[machine.name] = added
        return added

    def _connected(self) -> list[machines.Machine]:
        return [one.machine for one in self._nodes.values() if one.connected]

    async def _perform(self, action: str, name: str) -> str:
        """Act on a program by its name, or on all nodes' containers of a name."""
        present: list[tuple[str, processes.Program]] = [
            (one.name, one) for one in self._control_plane.programs
        ]
        for one in self._nodes.values():
            present += one.programs if one.connected else []
        found = [program for known, program in present if name == known]
        found = found or [program for known, program in present if _without_node(known) == name]
        if not found:
            raise errors.LabError(
                f"there is no process {name!r} now: "
                f"there are {', '.join(sorted({known for known, _ in present}))}"
            )
        said = await asyncio.gather(*(processes.perform(name, one, action) for one in found))
        return said[0]

    def _node(self, name: str) -> node.Node:
        try:
            return self._nodes[name]
        except KeyError:
            known = ", ".join(self._nodes)
            raise errors.LabError(f"there is no node {name!r}: the lab has {known}") from None

    async def _until_nodes_ready(self, administrator: api.Api) -> None:
        """Wait until every node is Ready, and Pods may be created in the default namespace."""
        unready = "no list of nodes yet"
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while unready := await self._unready(administrator):  # noqa: ASYNC110 - others' state
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise errors.LabError(
                f"after {READY_WITHIN_S:.0f} s the cluster is not ready: {unready}"
            ) from None
        self._told.say(f"nodes are ready: {', '.join(self._nodes)}")

    async def _unready(self, administrator: api.Api) -> str:
        """Return what is still to be waited for, or nothing."""
        try:
            listed = await administrator.get("/api/v1/nodes")
            await administrator.get("/api/v1/namespaces/default/serviceaccounts/default")
        except (api.ApiError, httpx.TransportError) as error:
            return str(error)
        ready = {item["metadata"]["name"] for item in listed["items"] if _is_ready(item)}
        missing = sorted(self._nodes.keys() - ready)
        return f"not Ready: {', '.join(missing)}" if missing else ""


def _without_node(name: str) -> str:
    """Return a program's name without the node that it ends with, if it does."""
    return re.sub(r"-node-\d+$", "", name)


def _is_ready(item: api.Json) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
