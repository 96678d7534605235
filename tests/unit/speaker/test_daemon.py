# SPDX-License-Identifier: MIT
"""A whole speaker on an Ethernet segment, with an API server that a test can let down."""

import asyncio
import dataclasses
import pathlib
import resource
import socket
from asyncio import constants
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest
import structlog

from contract import child, names
from speaker import daemon, settings
from speaker.cluster import api, view
from speaker.protocol import events
from tests.unit.speaker import lan

pytestmark = pytest.mark.namespace
NODE = "a"
MADE = child.Child(
    namespace="shop",
    name="web-l2-1",
    service="web",
    service_uid="u",
    balancer="front",
    address=lan.HELD,
    nodes=(NODE, "b"),
    list_version=1,
    ports=(child.Port(80),),
    planned=1,
    interfaces=("a0",),
    failback_delay_s=0.0,
)
NODES = view.own_node(NODE).name


class Cluster(api.Api):
    """An API server with one child, one balancer and one node; `fault` ends the watches.

    `away`: it answers nothing.
    """

    def __init__(self, *, cordoned: bool = False, away: bool = False) -> None:
        super().__init__(httpx2.AsyncClient())
        self.fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.cordoned = cordoned
        self.away = away
        self.children = [MADE]
        self.said: list[Mapping[str, Any]] = []

    async def list(self, resource: api.Resource) -> tuple[list[api.Manifest], str]:
        if self.away:
            raise api.ApiError(f"listing {resource.name}: connection refused")
        metadata = {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
        children = [child.encode(made) for made in self.children]
        for encoded in children:
            encoded["metadata"] |= metadata
            encoded["status"] = {}
        spec = {"addressPool": ["192.0.2.0/24", "2001:db8::/64"]}
        pool = {"metadata": {"name": "front"}, "spec": spec}
        node = {"metadata": {"name": NODE}, "spec": {"unschedulable": self.cordoned}}
        objects = {view.CHILDREN.name: children, view.BALANCERS.name: [pool], NODES: [node]}
        return objects[resource.name], "1"

    async def watch(
        self, resource: api.Resource, version: str, timeout_s: int
    ) -> AsyncIterator[api.Manifest]:
        if self.away:
            raise api.ApiError(f"watching {resource.name}: connection refused")
        await asyncio.shield(self.fault)
        yield {}

    async def patch_status(self, path: str, patch: Mapping[str, Any]) -> api.Manifest:
        self.said.append(patch)
        return {}

    async def create(self, path: str, manifest: Mapping[str, Any]) -> api.Manifest:
        return {}


@dataclasses.dataclass
class Running:
    """A speaker at work and what it logged."""

    speaker: daemon.Daemon
    lines: list[dict[str, Any]]
    task: asyncio.Task[None]

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def chosen(tmp_path: pathlib.Path) -> settings.Settings:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "1").write_bytes(b"k" * 32)
    arguments = ["--node-name", NODE, "--group", "test", "--keys-dir", str(keys), "--listen", ""]
    arguments += ["--cache-file", str(tmp_path / "cache.json"), "--probe", "off"]
    return settings.Settings.parse([*arguments, "--proxy-health-port", "0"], {})


def start(chosen: settings.Settings, cluster: Cluster) -> Running:
    lines: list[dict[str, Any]] = []

    def line(_: object, method: str, event: Any) -> Any:
        lines.append({"level": method, **event})
        raise structlog.DropEvent

    speaker = daemon.Daemon(chosen, cluster, structlog.wrap_logger(None, processors=[line]))
    return Running(speaker, lines, asyncio.create_task(speaker.run()))


async def other(chosen: settings.Settings) -> lan.Speaker:
    """Return a second speaker, the stand-in."""
    stand_in = lan.Speaker("b", keys=settings.read_keys(chosen.keys))
    made = dataclasses.replace(lan.listed(lan.HELD, "b0", NODE, "b"), created=1_767_225_600)
    stand_in.use(await lan.links(), "b0", made)
    return stand_in


async def test_a_background_task_that_fails_ends_the_process_after_a_hand_over(
    chosen: settings.Settings,
) -> None:
    await lan.plug("a0", "b0")
    cluster = Cluster()
    running = start(chosen, cluster)
    stand_in = await other(chosen)
    await lan.until(lambda: running.speaker.observed.held and stand_in.peers)
    cluster.fault.set_exception(ZeroDivisionError("a mistake in our own code"))
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        await running.task
    assert stand_in.held == {lan.HELD}
    causes = [a.cause for a in stand_in.told.actions if isinstance(a, events.Take)]
    # Nobody had to find out by silence.
    assert events.TakeCause.HOLDER_DIED not in causes
    assert {"failed", "leaving"} <= set(running.events)


async def test_a_driver_that_can_not_even_hand_over_ends_at_once(
    chosen: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lan.plug("a0")
    cluster = Cluster()
    running = start(chosen, cluster)
    await lan.until(lambda: running.speaker.observed.held)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("the core itself")

    monkeypatch.setattr(running.speaker.driver.core, "handle", broken)
    with pytest.raises(ZeroDivisionError, match="the core itself"):
        await running.task
    assert "nothing handed over" in running.events


async def test_too_few_descriptors_for_the_status_page_are_told_and_survived(
    chosen: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan.ip("link", "set", "lo", "up")
    monkeypatch.setattr(constants, "ACCEPT_RETRY_DELAY", 0.01)
    await lan.plug("a0")
    running = start(dataclasses.replace(chosen, listen=("127.0.0.1", 7472)), Cluster())
    await lan.until(lambda: running.speaker.observed.held)
    client = socket.socket()
    client.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", 7472))
        await lan.until(lambda: "no connection taken" in running.events)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    # And a connection that is open when everything ends is no failure.
    running.speaker.leave()
    await running.task
    writer.close()
    assert running.events.count("no connection taken") == 1
    assert "failed" not in running.events


async def test_without_api_server_a_start_knows_the_lists_and_the_own_node_from_the_cache(
    chosen: settings.Settings,
) -> None:
    await lan.plug("a0")
    first = start(chosen, Cluster(cordoned=True))
    assert chosen.cache is not None
    await lan.until(chosen.cache.exists)
    first.speaker.leave()
    await first.task
    second = start(chosen, Cluster(away=True))
    await lan.until(lambda: second.speaker.observed.held)
    assert second.speaker.known.fitness().rank is events.Rank.CORDONED
    second.speaker.leave()
    await second.task


async def test_what_was_deleted_during_an_outage_is_released_after_it_and_nothing_else_moves(
    chosen: settings.Settings,
) -> None:
    await lan.plug("a0")
    cluster = Cluster()
    kept = dataclasses.replace(MADE, name="web-l2-2", address=lan.HELD + 1)
    cluster.children.append(kept)
    running = start(chosen, cluster)
    await lan.until(lambda: len(running.speaker.observed.held) == 2)
    cluster.away = True
    outage, cluster.fault = cluster.fault, asyncio.get_running_loop().create_future()
    outage.set_exception(api.ApiError("too old resource version", 410))
    await lan.until(lambda: running.events.count("API server") >= 9)
    assert set(running.speaker.observed.held) == {lan.HELD, lan.HELD + 1}
    cluster.children.remove(MADE)
    cluster.away = False
    await lan.until(lambda: set(running.speaker.observed.held) == {lan.HELD + 1})
    moves = [line for line in running.lines if line["event"] == "holder changed"]
    assert [(line["address"], line["why"]) for line in moves[2:]] == [(str(lan.HELD), "deleted")]
    running.speaker.leave()
    await running.task


async def test_what_a_child_says_is_written_once_and_names_its_announcer(
    chosen: settings.Settings,
) -> None:
    await lan.plug("a0")
    cluster = Cluster()
    running = start(chosen, cluster)
    await lan.until(lambda: cluster.said)
    running.speaker.leave()
    await running.task
    conditions = cluster.said[0]["status"]["conditions"]
    announced = next(c for c in conditions if c["type"] == names.ANNOUNCED_CONDITION)
    assert announced["status"] == "True"
    assert NODE in announced["message"]


async def test_groups_that_the_kernel_forgot_with_ipv6_are_joined_again(
    chosen: settings.Settings,
) -> None:
    await lan.plug("a0")
    cluster = Cluster()
    cluster.children = [dataclasses.replace(MADE, address=lan.SIX)]
    running = start(chosen, cluster)
    group = "ff02::1:ff00:10"
    await lan.until(lambda: group in lan.groups("a0"))
    for mtu in ("1000", "1500"):  # nobody is told of the one before the other
        lan.ip("link", "set", "a0", "mtu", mtu)
    assert group not in lan.groups("a0")
    await lan.until(lambda: group in lan.groups("a0"))
    lan.ip("link", "set", "a0", "mtu", "1000")
    known = running.speaker.known
    await lan.until(lambda: not all(link.has_ipv6 for link in known.links.links.values()))
    lan.ip("link", "set", "a0", "mtu", "1280")
    await lan.until(lambda: group in lan.groups("a0"))
    running.speaker.leave()
    await running.task
