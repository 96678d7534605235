# SPDX-License-Identifier: MIT
"""The program inside the sandbox: brings the lab up, runs the command, takes the lab down.

``python -m lab.supervisor PIPE`` is started by :mod:`lab.sandbox` and
by nobody else. Its exit status is the command's, or 1 when the lab failed.
"""

import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import (
    api,
    control,
    controlplane,
    errors,
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
COMMAND_ENDS_WITHIN_S = 10.0


class Supervisor:
    """One lab, from nothing to a running cluster; :meth:`perform` changes it on request."""

    def __init__(self, settings: sandbox.Settings, told: progress.Progress) -> None:
        self._settings = settings
        self._told = told
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._control_plane = controlplane.ControlPlane(settings, on_death=self.fail)
        self._product = (
            product.Product(settings, self._control_plane, on_death=self.fail)
            if settings.product
            else None
        )
        self._machines = [machines.client()]
        self._nodes: dict[str, node.Node] = {}
        # Changes of the lab happen one after another: two commands may run at the same time.
        self._changing = asyncio.Lock()

    @property
    def failure(self) -> asyncio.Future[str]:
        """Done with a sentence as soon as the lab is broken."""
        return self._failure

    def fail(self, sentence: str) -> None:
        """Note that the lab is broken; the first cause counts."""
        if not self._failure.done():
            self._failure.set_result(sentence)

    async def start(self) -> None:
        """Bring the whole lab up."""
        self._told.say(f"Metacontroller: {self._settings.metacontroller_name}")
        await network.make_switches()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._control_plane.start())
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
            if self._product is not None:
                tasks.create_task(self._start_product(self._product, calls))

    async def perform(self, words: list[str]) -> str:
        """Do what a command inside the lab asks for; return a sentence of what was done."""
        async with self._changing:
            match words:
                case ["node", "add"]:
                    added = await self._add_node()
                    await added.start()
                    await added.start_speaker()
                    return f"{added.machine.name} is on"
                case ["node", "start", name]:
                    started = self._node(name)
                    await started.connect(self._connected())
                    await started.start()
                    await started.start_speaker()
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
                    return await self._process(name).perform(action)
                case ["machine", "add", name]:
                    machine = machines.stranger(name, self._machines)
                    await network.plug_in(machine, [])
                    self._machines.append(machine)
                    return f"{name} is on the switches, with {' and '.join(machine.addresses)}"
        raise errors.LabError(f"the lab cannot do {' '.join(words)!r}")

    async def _start_product(self, installed: product.Product, administrator: api.Api) -> None:
        await installed.start(administrator)
        self._told.say("the product is installed")
        async with asyncio.TaskGroup() as tasks:
            for started in self._nodes.values():
                tasks.create_task(started.start_speaker())
                tasks.create_task(installed.until_speaker_ready(started.machine))
        self._told.say("speakers are ready")

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
            speaker=None if self._product is None else self._product.speaker(machine),
            fail=self.fail,
        )
        await added.connect(self._connected())
        self._machines.append(machine)
        self._nodes[machine.name] = added
        return added

    def _connected(self) -> list[machines.Machine]:
        return [one.machine for one in self._nodes.values() if one.connected]

    def _process(self, name: str) -> processes.Process:
        present = [*self._control_plane.programs]
        if self._product is not None:
            present += self._product.programs
        for one in self._nodes.values():
            present += one.programs if one.connected else []
        known = {process.name: process for process in present}
        try:
            return known[name]
        except KeyError:
            raise errors.LabError(
                f"there is no process {name!r} now: there are {', '.join(sorted(known))}"
            ) from None

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
                while unready := await self._unready(administrator):  # noqa: ASYNC110 - the cluster's state
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise errors.LabError(
                f"after {READY_WITHIN_S:.0f} s the cluster is not ready: {unready}"
            ) from None
        self._told.say(f"nodes are ready: {', '.join(self._nodes)}")

    async def _unready(self, administrator: api.Api) -> str:
        listed = await administrator.get("/api/v1/nodes")
        ready = {item["metadata"]["name"] for item in listed["items"] if _is_ready(item)}
        if missing := sorted(self._nodes.keys() - ready):
            return f"not Ready: {', '.join(missing)}"
        try:
            await administrator.get("/api/v1/namespaces/default/serviceaccounts/default")
        except api.ApiError as error:
            return error.message
        return ""


def _is_ready(item: api.Json) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Interruptions:
    """Signals that the outer process received, one a line of its pipe.

    The pipe's end means that the outer process is gone, and with it whoever
    wanted this lab.
    """

    def __init__(self, pipe: io.FileIO) -> None:
        self._pipe = pipe
        self.received: asyncio.Queue[tuple[signal.Signals, bool]] = asyncio.Queue(maxsize=100)

    async def watch(self) -> None:
        """Queue each signal, and whether the terminal sent it to the command too; never return."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._pipe
        )
        while line := await reader.readline():
            number, by_terminal = line.split()
            await self.received.put((signal.Signals(int(number)), by_terminal == b"1"))
        os._exit(1)  # nobody is left to tell, and nothing outlives this namespace


def environment(settings: sandbox.Settings) -> dict[str, str]:
    """Return what the command finds in its environment."""
    directory = sandbox.DIRECTORY
    return {
        **os.environ,
        "KUBECONFIG": str(directory / "kubeconfig"),
        "LAB_DIR": str(directory),
        "LAB_METACONTROLLER": settings.metacontroller_name,
        "PATH": os.pathsep.join([settings.programs, os.environ.get("PATH", os.defpath)]),
        # Whatever a command caches must end with the lab.
        "TMPDIR": str(directory / "tmp"),
        "KUBECACHEDIR": str(directory / "cache" / "kubectl"),
        "HELM_CACHE_HOME": str(directory / "cache" / "helm"),
        "HELM_CONFIG_HOME": str(directory / "cache" / "helm"),
        "HELM_DATA_HOME": str(directory / "cache" / "helm"),
    }


async def _command(settings: sandbox.Settings, interruptions: Interruptions) -> int:
    """Run the command to its end; return its exit status as a shell would give it.

    A signal is handed on, and the command has some seconds to end.
    """
    try:
        process = await asyncio.create_subprocess_exec(*settings.command, env=environment(settings))
    except OSError as error:
        raise errors.LabError(f"cannot run {settings.command[0]!r}: {error}") from None
    ended = asyncio.create_task(process.wait())
    interrupted = asyncio.create_task(interruptions.received.get())
    try:
        await asyncio.wait([ended, interrupted], return_when=asyncio.FIRST_COMPLETED)
        while not ended.done():
            number, by_terminal = interrupted.result()
            if not by_terminal:
                process.send_signal(number)
            interrupted = asyncio.create_task(interruptions.received.get())
            finished, _ = await asyncio.wait(
                [ended, interrupted],
                timeout=COMMAND_ENDS_WITHIN_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not finished:
                process.kill()
                return sandbox.shell_status(-number)
    finally:
        interrupted.cancel()
    return sandbox.shell_status(ended.result())


async def _session(settings: sandbox.Settings, pipe: io.FileIO) -> int:
    told = progress.Progress()
    interruptions = Interruptions(pipe)
    watching = asyncio.create_task(interruptions.watch())
    lab = Supervisor(settings, told)
    starting = asyncio.create_task(lab.start())
    early = asyncio.create_task(interruptions.received.get())
    await _first(starting, early, lab.failure, watching)
    if not starting.done():
        if early.done():
            return sandbox.shell_status(-early.result()[0])
        raise errors.LabError(await lab.failure)
    await starting
    early.cancel()
    async with await control.serve(sandbox.DIRECTORY, lab.perform):
        told.say("the lab is up")
        command = asyncio.create_task(_command(settings, interruptions))
        await _first(command, lab.failure, watching)
        if not command.done():
            raise errors.LabError(await lab.failure)
        return await command


def _log_to_file() -> None:
    """Keep what the agents have to say, which run within this process, in a log of its own."""
    logging.basicConfig(
        filename=sandbox.LOGS / "supervisor.log",
        filemode="w",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        level=logging.INFO,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _leaves(group: BaseExceptionGroup[errors.LabError]) -> Iterator[errors.LabError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def main(arguments: list[str]) -> int:
    """Run one lab; return the exit status for the outer process."""
    # Unbuffered, so that what follows the first line is left to the event loop.
    pipe = io.FileIO(int(arguments[0]))
    settings = sandbox.Settings.from_json(pipe.readline().decode())
    for number in (signal.SIGINT, signal.SIGHUP):
        # A handler that does nothing, for an ignored signal would stay ignored in the command.
        signal.signal(number, lambda *_: None)
    sandbox.mount()
    if settings.logs is not None:
        sandbox.keep_logs(Path(settings.logs))
    _log_to_file()
    try:
        return asyncio.run(_session(settings, pipe))
    except* errors.LabError as group:
        for error in _leaves(group):
            print(f"lab: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sandbox.become_init()
    status = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(status)
