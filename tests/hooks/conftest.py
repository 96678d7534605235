# SPDX-License-Identifier: MIT
import asyncio
import copy
import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from app import application, events, logs, settings
from bench import requests
from contract import names

Json = dict[str, Any]
NOW = dt.datetime(2026, 1, 31, 13, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of calls are refused on purpose; only what is unexpected is shown."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(form="json", level="error")
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)

    @property
    def text(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


class Recorder(events.Recorder):
    def __init__(self) -> None:
        super().__init__(None)
        self.recorded: list[events.Event] = []

    def _take(self, event: events.Event) -> None:
        self.recorded.append(event)


class Hooks:
    """The application over HTTP, without a network."""

    def __init__(self, clock: Clock, chosen: settings.Settings | None = None) -> None:
        self.clock = clock
        recorder = Recorder()
        self.events = recorder.recorded
        self.app = application.create(chosen or settings.Settings(), clock=clock, recorder=recorder)
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://webhook")

    def post(self, path: str, body: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.runner.run(self.client.post(f"/hooks/{path}", content=content))

    def get(self, path: str) -> httpx.Response:
        return self.runner.run(self.client.get(path))

    def answer(self, path: str, body: Any) -> Json:
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        answer: Json = response.json()
        return answer

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.app.state.worker.close()
        self.runner.close()


class World:
    """A cluster as far as the hooks see it: what they answer comes back as what exists."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.clock = hooks.clock
        self.balancers: dict[str, Json] = {}
        self.services: dict[str, Json] = {}
        self.nodes: dict[str, Json] = {}
        self.namespaces: dict[str, Json] = {}
        self.children: dict[str, Json] = {}  # of all balancers, by namespace/name
        self.forbidden: set[str] = set()  # children that the API server does not let in
        self.writes = 0
        self.answers: dict[str, Json] = {}

    def add(self, *objects: Json) -> None:
        homes = {
            names.KIND: self.balancers,
            "Service": self.services,
            "Node": self.nodes,
            "Namespace": self.namespaces,
        }
        for manifest in objects:
            homes[manifest["kind"]].update(requests.keyed([manifest]))
            namespace = manifest["metadata"].get("namespace")
            if namespace and namespace not in self.namespaces:
                self.namespaces[namespace] = requests.namespace(namespace)

    def request(self, balancer: str) -> Json:
        parent = self.balancers[balancer]
        selector = parent["spec"]["nodeSelector"].items()
        return requests.composite(
            parent,
            services=[
                s
                for s in self.services.values()
                if s["metadata"].get("labels", {}).get(names.SERVICE_BALANCER) == balancer
            ],
            nodes=[n for n in self.nodes.values() if selector <= n["metadata"]["labels"].items()],
            namespaces=self.namespaces.values(),
            balancers=self.balancers.values(),
            children=[
                c
                for c in self.children.values()
                if c["metadata"]["ownerReferences"][0]["uid"] == parent["metadata"]["uid"]
            ],
        )

    def sync_balancer(self, name: str) -> Json:
        request = self.request(name)
        answer = self.hooks.answer("balancer/sync", request)
        self.answers[name] = answer
        parent = self.balancers[name]
        desired = requests.keyed(answer["children"])
        assert len(desired) == len(answer["children"]), "a child is answered twice"
        for key in request["children"]["Service.v1"].keys() - desired.keys():
            self.writes += 1
            del self.children[key]
        for key, manifest in desired.items():
            old = self.children.get(key)
            if old is None:
                if key in self.forbidden:
                    continue
                self.writes += 1
                self.children[key] = requests.observe(
                    manifest, parent=parent, created=self.clock.text
                )
            elif key in request["children"]["Service.v1"]:
                new = requests.observe(
                    manifest,
                    parent=parent,
                    created=old["metadata"]["creationTimestamp"],
                    status=old["status"],
                )
                new["metadata"]["uid"] = old["metadata"]["uid"]
                families = [one.get("spec", {}).get("ipFamilies") for one in (old, new)]
                assert families[0] == families[1], "an API server refuses another family"
                if new != old:
                    self.writes += 1
                    self.children[key] = new
        status = answer["status"] | {"observedGeneration": parent["metadata"]["generation"]}
        if status != parent.get("status"):
            self.writes += 1
            parent["status"] = status
        return answer

    def sync_service(self, key: str) -> Json:
        service = self.services[key]
        uid = service["metadata"]["uid"]
        related = [
            c
            for c in self.children.values()
            if c["metadata"]["labels"].get(names.CHILD_SERVICE_UID) == uid
        ]
        named = names.SERVICE_BALANCER in service["metadata"].get("annotations", {})
        path = "service/sync" if named else "service-cleanup/sync"
        if (
            not named
            and names.SERVICE_BALANCER not in service["metadata"].get("labels", {})
            and path == "service-cleanup/sync"
        ):
            return {}
        answer = self.hooks.answer(path, requests.decorator(service, children=related))
        self.answers[key] = answer
        labels = service["metadata"].setdefault("labels", {})
        for label, value in answer.get("labels", {}).items():
            if labels.get(label) != value:
                self.writes += 1
            if value is None:
                labels.pop(label, None)
            else:
                labels[label] = value
        if "status" in answer and answer["status"] != service.get("status"):
            self.writes += 1
            service["status"] = answer["status"]
        return answer

    def settle(self) -> None:
        """Sync everything until nothing is written any more."""
        for _ in range(20):
            before = self.writes
            for key in list(self.services):
                self.sync_service(key)
            for name in list(self.balancers):
                self.sync_balancer(name)
            if self.writes == before:
                return
        pytest.fail("the hooks never come to rest")

    def addresses(self, service: str) -> list[str]:
        """The addresses that a Service's status lists."""
        ingress = self.services[service]["status"]["loadBalancer"].get("ingress", [])
        return [entry["ip"] for entry in ingress]

    def condition(self, service: str) -> Json:
        conditions = self.services[service]["status"].get("conditions", [])
        return next((c for c in conditions if c["type"] == names.ASSIGNED_CONDITION), {})

    def balancer_condition(self, kind: str, balancer: str = "front") -> Json:
        conditions: list[Json] = self.balancers[balancer]["status"]["conditions"]
        return next(c for c in conditions if c["type"] == kind)

    def preferred(self, service: str) -> list[str]:
        namespace, _, name = service.partition("/")
        return [
            c["metadata"]["annotations"][names.CHILD_NODES].split(",")[0]
            for key, c in sorted(self.children.items())
            if c["metadata"]["annotations"].get(names.CHILD_SERVICE) == name
            and key.startswith(namespace + "/")
            and names.CHILD_NODES in c["metadata"]["annotations"]
        ]

    def edit(self, key: str, **annotations: str | None) -> None:
        """Change a Service's annotations, by the last part of their keys; None removes one."""
        values = self.services[key]["metadata"]["annotations"]
        for name, value in annotations.items():
            full = f"{names.GROUP}/{name.replace('_', '-')}"
            if value is None:
                values.pop(full, None)
            else:
                values[full] = value

    def respec(self, balancer: str = "front", **spec: Any) -> None:
        """Change a balancer's spec, which raises its generation."""
        manifest = copy.deepcopy(self.balancers[balancer])
        manifest["spec"] |= spec
        manifest["metadata"]["generation"] += 1
        self.balancers[balancer] = manifest


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hooks(clock: Clock) -> Iterator[Hooks]:
    hooks = Hooks(clock)
    yield hooks
    hooks.close()


@pytest.fixture
def world(hooks: Hooks) -> World:
    """A balancer `front` over three nodes."""
    world = World(hooks)
    world.add(requests.balancer(), *(requests.node(f"n{i}", images=1) for i in (1, 2, 3)))
    return world


@pytest.fixture
def make_hooks(clock: Clock) -> Iterator[Callable[[settings.Settings], Hooks]]:
    """Hooks with other settings."""
    made: list[Hooks] = []

    def make(chosen: settings.Settings) -> Hooks:
        made.append(Hooks(clock, chosen))
        return made[-1]

    yield make
    for hooks in made:
        hooks.close()


@pytest.fixture
def make_world(hooks: Hooks) -> Callable[[], World]:
    """Small worlds, each new: balancers `front` and `back` over three nodes."""

    def make() -> World:
        hooks.clock.now = NOW
        world = World(hooks)
        world.add(requests.balancer(addressPool=["192.0.2.10-192.0.2.27", "2001:db8::10/126"]))
        world.add(
            requests.balancer("back", addressPool=["192.0.2.10-192.0.2.13", "2001:db8::10/127"])
        )
        world.add(*(requests.node(f"n{i}", images=0) for i in (1, 2, 3)))
        return world

    return make
