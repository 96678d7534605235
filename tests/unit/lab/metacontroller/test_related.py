# SPDX-License-Identifier: MIT
import asyncio
import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from lab import api
from lab.api import Json
from lab.metacontroller import related
from lab.metacontroller.discovery import Discovery, Resource
from lab.metacontroller.errors import HookError, NotListedError
from lab.metacontroller.hooks import Hook
from lab.metacontroller.informers import Informers
from lab.metacontroller.related import Related
from lab.metacontroller.trace import Trace

SERVED = {
    "resources": [
        {"name": name, "kind": kind, "namespaced": namespaced}
        for name, kind, namespaced in (
            ("services", "Service", True),
            ("nodes", "Node", False),
            ("namespaces", "Namespace", False),
        )
    ]
}


def made(kind: str, name: str, version: str = "1", **labels: str) -> Json:
    namespace, _, name = name.rpartition("/")
    metadata = {"name": name, "uid": f"{kind}-{name}", "resourceVersion": version, "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


class Clock:
    now = 0.0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        raise AssertionError((delay, callback))


class Table:
    """A Related, its hook and what its informers hold, all of it set by the test."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.rules: list[Json] = []
        self.asked: list[str] = []
        self.woken: list[str] = []
        self.clock = Clock()
        self.runner = runner
        server = api.Api(
            "http://api.example",
            user_agent="tests",
            transport=httpx.MockTransport(lambda _: httpx.Response(200, json=SERVED)),
        )
        discovery = Discovery(server)
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._customize))
        # The tasks that would watch are never run: what there is, the tests say.
        self.informers = Informers(server, discovery, _NoTasks())
        self.related = Related(
            controller={"kind": "DecoratorController"},
            hook=Hook(client, name="customize", url="http://hooks.example", trace=Trace()),
            parents=runner.run(self.informers.of("v1", "services")),
            enqueue=lambda parent: self.woken.append(parent["metadata"]["name"]),
            informers=self.informers,
            clock=self.clock,
        )

    def hold(self, plural: str, *items: Json) -> None:
        informer = self.runner.run(self.informers.of("v1", plural))
        informer.is_listed = True
        for item in items:
            metadata = item["metadata"]
            key = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
            informer._store(key, informer.get(key), item)

    def of(self, parent: Json) -> dict[str, list[str]]:
        groups = self.runner.run(self.related.of(parent))
        return {group: sorted(found) for group, found in groups.items()}

    def change(self, old: Json | None, new: Json | None) -> list[str]:
        self.woken.clear()
        resource = Resource("v1", "nodes", "Node", namespaced=False, has_status=True)
        self.runner.run(self.related.on_related(resource, old, new))
        return sorted(self.woken)

    def _customize(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content)["parent"]["metadata"]["name"])
        return httpx.Response(200, json={"relatedResources": self.rules})


class _NoTasks(asyncio.TaskGroup):
    def create_task(self, coroutine: object, **_: object) -> None:  # type: ignore[override]
        coroutine.close()  # type: ignore[attr-defined]


@pytest.fixture
def table() -> Iterator[Table]:
    with asyncio.Runner() as runner:
        yield Table(runner)


WEB = made("Service", "shop/web")
SERVICES = {"apiVersion": "v1", "resource": "services"}
NODES = {"apiVersion": "v1", "resource": "nodes"}


def test_a_rule_without_conditions_takes_all_of_all_namespaces(table: Table) -> None:
    table.rules = [SERVICES]
    table.hold("services", WEB, made("Service", "other/api"))
    assert table.of(WEB) == {"Service.v1": ["other/api", "shop/web"]}


def test_a_rule_takes_what_its_namespace_names_and_labels_say(table: Table) -> None:
    table.hold(
        "services",
        made("Service", "shop/a", of="web"),
        made("Service", "shop/b"),
        made("Service", "other/a", of="web"),
    )
    selector = {"matchLabels": {"of": "web"}}
    for rule, expected in (
        ({"namespace": "shop"}, ["shop/a", "shop/b"]),
        ({"names": ["a"]}, ["other/a", "shop/a"]),
        ({"labelSelector": selector}, ["other/a", "shop/a"]),
        ({"labelSelector": selector, "namespace": "shop"}, ["shop/a"]),
    ):
        table.rules = [{**SERVICES, **rule}]
        table.clock.now += related.CACHE_LIFETIME_S
        assert table.of(WEB) == {"Service.v1": expected}


def test_a_namespace_selector_looks_at_the_namespaces_labels(table: Table) -> None:
    table.hold("namespaces", made("Namespace", "shop", team="blue"), made("Namespace", "other"))
    table.hold("services", WEB, made("Service", "other/api"), made("Service", "unknown/api"))
    table.rules = [{**SERVICES, "namespaceSelector": {"matchLabels": {"team": "blue"}}}]
    assert table.of(WEB) == {"Service.v1": ["shop/web"]}


def test_a_group_without_objects_is_there_and_empty(table: Table) -> None:
    table.hold("nodes")
    table.rules = [NODES]
    assert table.of(WEB) == {"Node.v1": []}


def test_until_the_first_list_is_complete_there_is_no_answer(table: Table) -> None:
    table.rules = [NODES]
    with pytest.raises(NotListedError):
        table.of(WEB)


def test_the_hook_is_asked_once_for_a_uid_and_generation_and_again_after_20_minutes(
    table: Table,
) -> None:
    for _ in range(3):
        table.of(WEB)
    assert table.asked == ["web"]
    grown = {**WEB, "metadata": {**WEB["metadata"], "generation": 2}}
    table.of(grown)
    assert table.asked == ["web"] * 2
    table.clock.now = related.CACHE_LIFETIME_S - 1
    table.of(WEB)
    assert table.asked == ["web"] * 2
    table.clock.now = related.CACHE_LIFETIME_S
    table.of(WEB)
    assert table.asked == ["web"] * 3


def test_a_change_wakes_the_parents_to_which_the_object_is_or_was_related(table: Table) -> None:
    table.hold("services", WEB)
    table.rules = [{**NODES, "labelSelector": {"matchLabels": {"role": "front"}}}]
    front, back = made("Node", "n1", "1", role="front"), made("Node", "n1", "2", role="back")
    assert table.change(None, front) == ["web"]
    assert table.change(front, back) == ["web"]
    assert table.change(back, front) == ["web"]
    assert table.change(front, None) == ["web"]
    assert table.change(None, back) == []


def test_the_same_version_again_wakes_nobody_and_asks_nobody(table: Table) -> None:
    table.hold("services", WEB)
    node = made("Node", "n1")
    assert table.change(node, node) == []
    assert table.asked == []


def test_every_object_of_the_parents_resource_is_asked_about(table: Table) -> None:
    table.hold("services", WEB, made("Service", "kube-system/dns"))
    table.change(None, made("Node", "n1"))
    assert sorted(table.asked) == ["dns", "web"]


def test_a_hook_that_contradicts_itself_wakes_nobody_and_fails_the_sync(table: Table) -> None:
    table.hold("services", WEB)
    table.rules = [{**NODES, "names": ["n1"], "labelSelector": {}}]
    assert table.change(None, made("Node", "n1")) == []
    with pytest.raises(HookError, match="names beside a selector"):
        table.of(WEB)
