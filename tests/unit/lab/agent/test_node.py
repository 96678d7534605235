# SPDX-License-Identifier: MIT
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from lab import api
from lab.agent import identity, node, worker
from tests.unit.lab.agent import fakes

NODE = "/api/v1/nodes/n1"
LEASE = f"{identity.LEASES}/n1"


class Server:
    """An API server that has one Node, its Lease, and a Node controller's opinion of it."""

    def __init__(self) -> None:
        self.node: dict[str, Any] | None = None
        self.lease: dict[str, Any] | None = None
        self.calls: list[tuple[str, str]] = []
        self.patches: list[dict[str, Any]] = []
        self.failing = False

    def condition(self, kind: str) -> dict[str, Any]:
        assert self.node is not None
        conditions: list[dict[str, Any]] = self.node["status"]["conditions"]
        return next(condition for condition in conditions if condition["type"] == kind)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if self.failing:
            raise httpx.ConnectError("refused")
        path, method = request.url.path, request.method
        body = json.loads(request.content or b"{}")
        if path == "/api/v1/pods":
            if "watch" in request.url.params:
                await asyncio.Event().wait()
            metadata = {"resourceVersion": "1"}
            return httpx.Response(
                200, json={"apiVersion": "v1", "kind": "PodList", "metadata": metadata}
            )
        self.calls.append((method, path))
        if "leases" in path:
            return self._on_lease(method, body)
        return self._on_node(method, path, body)

    def _on_lease(self, method: str, body: dict[str, Any]) -> httpx.Response:
        if method == "POST" and self.lease is not None:
            return httpx.Response(409, json={"reason": "AlreadyExists"})
        if method != "GET":
            version = str(len(self.calls))
            self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return httpx.Response(200, json=self.lease)

    def _on_node(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        if method == "POST":
            if self.node is not None:
                return httpx.Response(409, json={"reason": "AlreadyExists"})
            self.node = {**body, "metadata": {**body["metadata"], "uid": "u"}, "status": {}}
        assert self.node is not None
        if method == "PATCH":
            self.patches.append(body)
            if path.endswith("/status"):
                held = {c["type"]: c for c in self.node["status"].get("conditions", ())}
                held |= {c["type"]: c for c in body["status"]["conditions"]}
                conditions = [*held.values()]
                self.node["status"] = {**body["status"], "conditions": conditions}
            else:
                self.node["metadata"] |= body["metadata"]
        return httpx.Response(200, json=self.node)


class Bench:
    def __init__(self, directory: Path, server: Server) -> None:
        self.server = server
        self.clock = fakes.Clock()
        transport = httpx.MockTransport(server.handle)
        self.client = api.Api(
            "http://api", user_agent="t", transport=transport, sleep=self.clock.sleep
        )
        self.agent = node.NodeAgent(
            name="n1",
            netns="n1",
            addresses=("10.77.0.11", "fd77::11"),
            pod_subnets=("10.88.1.0/24", "fd88:1::/64"),
            api=self.client,
            directory=directory,
            images={},
            labels={"role": "front"},
            clock=self.clock,
        )


def play(
    directory: Path,
    story: Callable[[Bench], Awaitable[None]],
    server: Server | None = None,
) -> None:
    async def run() -> None:
        bench = Bench(directory, server or Server())
        serving = asyncio.create_task(bench.agent._serve())
        await fakes.settle()
        try:
            await story(bench)
            assert not serving.done()
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            await bench.client.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_node_is_registered_as_a_kubelet_would(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        found = bench.server.node
        assert found is not None
        labels = found["metadata"]["labels"]
        assert labels["role"] == "front"
        assert labels["kubernetes.io/hostname"] == "n1"
        assert found["spec"]["podCIDRs"] == ["10.88.1.0/24", "fd88:1::/64"]
        assert len(found["status"]["images"]) == identity.IMAGES
        assert bench.server.condition("Ready")["status"] == "True"
        assert bench.server.condition("NetworkUnavailable")["status"] == "False"

    play(tmp_path, story)


def test_a_node_that_exists_gets_the_labels_it_has_now_and_keeps_those_of_others(
    tmp_path: Path,
) -> None:
    server = Server()
    metadata = {"name": "n1", "uid": "u", "labels": {}}
    server.node = {"metadata": metadata, "spec": {}, "status": {}}

    async def story(bench: Bench) -> None:
        (labels, *_) = (p["metadata"]["labels"] for p in bench.server.patches if "metadata" in p)
        assert labels["role"] == "front"
        assert bench.server.condition("Ready")["status"] == "True"

    play(tmp_path, story, server)


def test_a_registration_waits_for_the_api_server(tmp_path: Path) -> None:
    server = Server()
    server.failing = True

    async def story(bench: Bench) -> None:
        await bench.clock.advance(5)
        assert bench.server.node is None
        bench.server.failing = False
        await bench.clock.advance(node.RETRY_S)
        assert bench.server.condition("Ready")["status"] == "True"

    play(tmp_path, story, server)


def test_the_lease_is_renewed_and_survives_an_outage(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        assert bench.server.lease is not None
        assert bench.server.lease["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"
        await bench.clock.advance(node.LEASE_INTERVAL_S)
        assert bench.server.lease["spec"]["renewTime"] == "2026-01-01T00:00:02.000000Z"
        bench.server.failing = True
        await bench.clock.advance(30)
        bench.server.failing = False
        await bench.clock.advance(node.LEASE_INTERVAL_S)
        assert bench.server.lease["spec"]["renewTime"] > "2026-01-01T00:00:31"

    play(tmp_path, story)


def test_a_lease_of_an_earlier_life_is_taken_over(tmp_path: Path) -> None:
    server = Server()
    server.lease = {"metadata": {"name": "n1", "resourceVersion": "7"}, "spec": {}}

    async def story(bench: Bench) -> None:
        await bench.clock.advance(node.RETRY_S)
        assert bench.server.lease is not None
        assert bench.server.lease["spec"]["holderIdentity"] == "n1"

    play(tmp_path, story, server)


def statuses(server: Server) -> int:
    return sum("status" in patch for patch in server.patches)


def test_at_rest_the_status_is_written_every_five_minutes(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        before = statuses(bench.server)
        await bench.clock.advance(node.STATUS_INTERVAL_S - 10)
        assert statuses(bench.server) == before
        await bench.clock.advance(20)
        assert statuses(bench.server) == before + 1

    play(tmp_path, story)


def test_a_node_that_was_thought_lost_says_at_once_that_it_is_not(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.server.condition("Ready").update(status="Unknown", reason="NodeStatusUnknown")
        await bench.clock.advance(node.STATUS_CHECK_S)
        ready = bench.server.condition("Ready")
        assert ready["status"] == "True"
        assert ready["lastTransitionTime"] == "2026-01-01T00:00:02Z"

    play(tmp_path, story)


def test_another_writer_of_network_unavailable_is_left_alone(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.server.condition("NetworkUnavailable").update(status="True", reason="Test")
        await bench.clock.advance(node.STATUS_INTERVAL_S + 10)
        assert bench.server.condition("NetworkUnavailable")["status"] == "True"

    play(tmp_path, story)


def test_a_node_that_shuts_down_says_so(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.agent.drain_and_stop()
        ready = bench.server.condition("Ready")
        assert (ready["status"], ready["message"]) == ("False", "the node shuts down")

    play(tmp_path, story)


class Worker:
    """A Pod that ends only when the test lets it."""

    def __init__(self, told: list[str], name: str, *, critical: bool) -> None:
        self.pod = SimpleNamespace(critical=critical)
        self.ended = asyncio.Event()
        self._told = told
        self._name = name

    def shut_down(self, *_: str) -> None:
        self._told.append(self._name)


def test_critical_pods_are_stopped_when_all_others_have_ended(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        told: list[str] = []
        plain, vital = (Worker(told, n, critical=n == "vital") for n in ("plain", "vital"))
        bench.agent._workers = cast("dict[str, worker.Worker]", {"v": vital, "p": plain})
        draining = asyncio.create_task(bench.agent.drain_and_stop())
        await fakes.settle()
        assert told == ["plain"]
        plain.ended.set()
        await fakes.settle()
        assert told == ["plain", "vital"]
        assert not draining.done()
        vital.ended.set()
        await draining

    play(tmp_path, story)


def test_an_agent_without_rights_fails_loudly(tmp_path: Path) -> None:
    async def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"reason": "Unauthorized", "message": "who are you?"})

    async def run() -> None:
        bench = Bench(tmp_path, Server())
        bench.agent._api = api.Api(
            "http://api", user_agent="t", transport=httpx.MockTransport(refuse)
        )
        await bench.agent._serve()

    with pytest.raises(api.ApiError, match="who are you"):
        asyncio.run(asyncio.wait_for(run(), 10))
