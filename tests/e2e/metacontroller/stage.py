# SPDX-License-Identifier: MIT
"""Where scenarios are played: a Metacontroller, the real one or the stand-in, and its recorder."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

import yaml

from lab import api
from lab.api import Json
from lab.metacontroller import merge, objects
from lab.metacontroller.discovery import Discovery
from lab.metacontroller.errors import NotServedError
from tests.e2e.metacontroller import normal, play, recorder, server
from tests.e2e.metacontroller.recorder import Recorder

CHECKOUT = Path(__file__).resolve().parents[3]
MANIFESTS = CHECKOUT / "metacontroller"
CRDS = CHECKOUT / "lab" / "metacontroller" / "crds"
WEBHOOK = "http://l2lb-webhook.l2lb-system"

# A step is over when nothing has happened for that long.
QUIET_S = 0.4
SETTLED_WITHIN_S = 30.0
POLL_S = 0.02


class Stage:
    """One scenario under way: what is done, and what that led to."""

    def __init__(self, client: api.Api, notes: Recorder) -> None:
        self.client = client
        self.hooks = notes.hooks
        self.steps: list[Json] = []
        self._recorder = notes
        self._discovery = Discovery(client)
        self._names = normal.Names()
        self._made: dict[str, str] = {}

    async def create(self, obj: Json) -> Json:
        """Create an object, which is gone when the scenario ends."""
        resource = await self._discovery.kind(obj["apiVersion"], obj["kind"])
        made = await self.client.create(resource.path(objects.namespace(obj)), obj)
        self._made[resource.path_of(made)] = objects.uid(made)
        return made

    async def patch(self, obj: Json, change: Json, subresource: str = "") -> Json:
        """Change an object by a merge patch."""
        resource = await self._discovery.kind(obj["apiVersion"], obj["kind"])
        return await self.client.patch(resource.path_of(obj, subresource), change)

    async def get(self, obj: Json) -> Json:
        """Read an object afresh."""
        resource = await self._discovery.kind(obj["apiVersion"], obj["kind"])
        return await self.client.get(resource.path_of(obj))

    async def delete(self, obj: Json) -> None:
        """Delete an object."""
        resource = await self._discovery.kind(obj["apiVersion"], obj["kind"])
        await self.client.delete(resource.path_of(obj))

    def calls(self, hook: str) -> int:
        """Return how often a hook was called since the last step."""
        return sum(
            isinstance(note, recorder.Call) and note.hook == hook for note in self._recorder.noted
        )

    async def settled(self, did: str) -> Json:
        """Wait until nothing happens any more, and note what has happened as a step."""
        await self._quiet()
        trace = normal.step(did, self._recorder.noted, self._names)
        self.steps.append(trace)
        self._recorder.noted.clear()
        return trace

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while not condition():  # noqa: ASYNC110 - it is another process's state
                await asyncio.sleep(POLL_S)

    async def events(self) -> list[str]:
        """Return the Events about the objects of this scenario, once each."""
        listed = await self.client.get("/api/v1/events")
        uids = set(self._made.values())
        return sorted(
            {
                f"{event['type']} {event['reason']} {event['involvedObject']['kind']}"
                for event in listed["items"]
                if event["source"].get("component") == "metacontroller"
                and event["involvedObject"].get("uid") in uids
            }
        )

    async def clear(self) -> None:
        """Delete all that was made, by the scenario and by Metacontroller."""
        for path in reversed(self._made):
            with contextlib.suppress(api.ApiError):
                await self.client.patch(path, {"metadata": {"finalizers": None}})
                await self.client.delete(path)
        listed = await self.client.get("/api/v1/services")
        for item in listed["items"]:
            if merge.LAST_APPLIED in (item["metadata"].get("annotations") or {}):
                namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
                with contextlib.suppress(api.ApiError):
                    await self.client.delete(f"/api/v1/namespaces/{namespace}/services/{name}")
        await self.forget()

    async def forget(self) -> None:
        """Wait until nothing happens any more, and take no note of it."""
        await self._quiet()
        self._recorder.noted.clear()

    async def _quiet(self) -> None:
        self._recorder.begin()
        await self.until(lambda: self._recorder.idle_s() > QUIET_S)


class Theatre:
    """An API server with a Metacontroller, in which scenarios are played one after another."""

    def __init__(self, client: api.Api, notes: Recorder) -> None:
        self._client = client
        self._recorder = notes

    async def rehearse(self) -> None:
        """Play until every hook has been called: then all caches are filled."""
        async with self.stage() as stage:
            play.simple_hooks(stage)
            await stage.create(play.balancer())
            await stage.create(play.service())
            await stage.create(play.service("left", {}, {play.LABEL: "front"}))
            await stage.until(lambda: all(stage.calls(hook) for hook in stage.hooks))
            await stage.forget()  # what is still made now would be in the first scenario's way

    @contextlib.asynccontextmanager
    async def stage(self) -> AsyncIterator[Stage]:
        """Begin a scenario; clear up after it."""
        stage = Stage(self._client, self._recorder)
        await stage.forget()
        try:
            yield stage
        finally:
            await stage.clear()


@contextlib.asynccontextmanager
async def open_theatre(directory: Path, metacontroller: str | None) -> AsyncIterator[Theatre]:
    """Run an API server, a recorder before it, and a Metacontroller that only sees the latter.

    ``metacontroller`` is the path of the real one; None takes the stand-in.
    """
    async with contextlib.AsyncExitStack() as stack:
        url, token = await stack.enter_async_context(server.running(directory))
        client = await stack.enter_async_context(
            api.Api(url, token=token, user_agent=server.USER_AGENT)
        )
        notes, recorder_url = await stack.enter_async_context(recorder.running(url, token))
        await _install(client, recorder_url)
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(recorder_url, token)))
        log = directory / "metacontroller.log"
        await stack.enter_async_context(server.process(_argv(kubeconfig, metacontroller), log))
        theatre = Theatre(client, notes)
        await theatre.rehearse()
        yield theatre


def named() -> str | None:
    """Return the real Metacontroller that the environment names."""
    return os.environ.get("METACONTROLLER") or None


def _argv(kubeconfig: Path, metacontroller: str | None) -> list[str]:
    if metacontroller is None:
        return [sys.executable, "-m", "lab.metacontroller", f"--kubeconfig={kubeconfig}"]
    return [
        metacontroller,
        f"--kubeconfig={kubeconfig}",
        "--client-go-qps=150",
        "--client-go-burst=300",
        "--discovery-interval=1s",
        "--metrics-address=127.0.0.1:0",
        "--health-probe-bind-address=127.0.0.1:0",
    ]


def _kubeconfig(url: str, token: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "recorded", "cluster": {"server": url}}],
        "users": [{"name": "recorded", "user": {"token": token}}],
        "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "recorded"}}],
        "current-context": "recorded",
    }


async def _install(client: api.Api, url: str) -> None:
    """Apply our own manifests, with the recorder for the webhook and without resync."""
    crds = [*sorted(CRDS.glob("*.yaml")), MANIFESTS / "crd.yaml"]
    for path in crds:
        crd = yaml.safe_load(path.read_text())
        collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await client.create(collection, crd)
    for namespace in ("shop", "other"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await client.create("/api/v1/namespaces", body)
    discovery = Discovery(client)
    for name in ("balancer", "service", "service-cleanup"):
        controller = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text().replace(WEBHOOK, url))
        del controller["spec"]["resyncPeriodSeconds"]
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while not await _created(client, discovery, controller):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(POLL_S)


async def _created(client: api.Api, discovery: Discovery, controller: Json) -> bool:
    """Create a controller; false while its CRD is not served yet."""
    try:
        kind = await discovery.kind(controller["apiVersion"], controller["kind"])
        await client.create(kind.path(), controller)
    except (NotServedError, api.ApiError) as error:
        if isinstance(error, api.ApiError) and error.status != HTTPStatus.NOT_FOUND:
            raise
        return False
    return True
