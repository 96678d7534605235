# SPDX-License-Identifier: MIT
"""The running stand-in: follows the controllers' objects and runs a controller for each."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

from lab import api
from lab.api import Json
from lab.metacontroller import authorities, composite, decorator, spec
from lab.metacontroller.controller import Surroundings
from lab.metacontroller.discovery import Discovery
from lab.metacontroller.errors import SyncError, UnsupportedError
from lab.metacontroller.events import EventType, Recorder
from lab.metacontroller.informers import Informers
from lab.metacontroller.trace import Trace

log = logging.getLogger(__name__)

WORKERS = 5

# How soon a controller whose resources are not there yet is tried again; the real one looks
# for new resources every 30 s.
RETRY_S = 1.0


class Controller(Protocol):
    """What a controller of either kind does."""

    async def run(self) -> None:
        """Work until cancelled."""


Start = Callable[[Surroundings, Json], Awaitable[Controller]]


async def start_composite(surroundings: Surroundings, source: Json) -> Controller:
    """Make a controller of a CompositeController object."""
    return await composite.CompositeController.start(surroundings, spec.composite(source))


async def start_decorator(surroundings: Surroundings, source: Json) -> Controller:
    """Make a controller of a DecoratorController object."""
    return await decorator.DecoratorController.start(surroundings, spec.decorator(source))


KINDS: Mapping[str, Start] = {spec.COMPOSITE: start_composite, spec.DECORATOR: start_decorator}


@dataclass(frozen=True, slots=True)
class _Running:
    source: Json
    task: asyncio.Task[None]


async def serve(server: api.Api, trace: Trace, *, workers: int = WORKERS) -> None:
    """Run until cancelled. Whatever fails unforeseen ends it, with the error."""
    async with (
        contextlib.aclosing(authorities.Clients(server)) as clients,
        asyncio.TaskGroup() as tasks,
    ):
        discovery = Discovery(server)
        recorder = Recorder(server)
        surroundings = Surroundings(
            server=server,
            clients=clients,
            discovery=discovery,
            informers=Informers(server, discovery, tasks),
            recorder=recorder,
            trace=trace,
            clock=asyncio.get_running_loop(),
            workers=workers,
        )
        tasks.create_task(recorder.write(), name="events")
        for plural, start in KINDS.items():
            tasks.create_task(_follow(surroundings, tasks, plural, start), name=plural)


async def _follow(
    surroundings: Surroundings, tasks: asyncio.TaskGroup, plural: str, start: Start
) -> None:
    """Have a controller running for each object of a kind, with its present spec."""
    running: dict[str, _Running] = {}
    async for item in surroundings.server.watch(f"/apis/{spec.API_VERSION}/{plural}"):
        if isinstance(item, api.Listed):
            continue
        name = item.object["metadata"]["name"]
        before = running.get(name)
        if item.type != "DELETED" and before and before.source["spec"] == item.object["spec"]:
            continue
        if before is not None:
            del running[name]
            await _stop(surroundings, before)
        if item.type != "DELETED":
            task = tasks.create_task(_run(surroundings, item.object, start), name=name)
            running[name] = _Running(item.object, task)


async def _run(surroundings: Surroundings, source: Json, start: Start) -> None:
    name = source["metadata"]["name"]
    while True:
        try:
            controller = await start(surroundings, source)
        except UnsupportedError as error:
            log.error("%s is not run: %s", name, error)  # noqa: TRY400 - the sentence says it all
            _tell(surroundings, source, "CreateError", f"Cannot create new controller: {error}")
            return
        except (SyncError, api.ApiError, httpx.TransportError) as error:
            log.info("%s cannot start yet: %s", name, error)
            _tell(surroundings, source, "CreateError", f"Cannot create new controller: {error}")
            await asyncio.sleep(RETRY_S)
            continue
        _tell(surroundings, source, "Starting", f"Starting controller: {name}")
        _tell(surroundings, source, "Started", f"Started controller: {name}")
        log.info("started %s", name)
        await controller.run()


async def _stop(surroundings: Surroundings, running: _Running) -> None:
    name = running.source["metadata"]["name"]
    running.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running.task
    _tell(surroundings, running.source, "Stopped", f"Stopped controller: {name}")
    log.info("stopped %s", name)


def _tell(surroundings: Surroundings, source: Json, reason: str, message: str) -> None:
    kind: EventType = "Warning" if reason == "CreateError" else "Normal"
    surroundings.recorder.tell(source, kind, reason, message)
