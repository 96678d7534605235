# SPDX-License-Identifier: MIT
"""Watches over the real HTTP client, from a server that is slow, or broken for many requests."""

import asyncio
import collections
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from speaker.cluster import api, watch
from tests.unit.speaker import test_api as served

THINGS = served.THINGS
OTHERS = api.Resource("others", "/api/v1/others")
Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


def refuses(status: str, body: bytes = b"") -> Fault:
    async def answer(writer: asyncio.StreamWriter) -> None:
        served.send(writer, status, body)

    return answer


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def is_cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"items": [')


STORM = {
    "500": refuses("500 Internal Server Error", b'{"message":"etcdserver: request timed out"}'),
    "502": refuses("502 Bad Gateway", b"<html>"),
    "503": refuses("503 Service Unavailable"),
    "504": refuses("504 Gateway Timeout", b"x" * 100_000),
    "429": refuses("429 Too Many Requests", b'{"message":"too many requests"}'),
    "hangs up": hangs_up,
    "resets": resets,
    "is cut": is_cut,
}


class Cluster:
    """An API server: its next requests meet `faults`, one each; then it answers.

    Objects are names; `say` lets a watch that is open tell of one more.
    """

    def __init__(self, *objects: str) -> None:
        self.objects = list(objects)
        self.faults: collections.deque[Fault] = collections.deque()
        self.lists = self.watches = 0
        self._said: asyncio.Queue[str] = asyncio.Queue()

    def say(self, name: str) -> None:
        self._said.put_nowait(name)

    async def answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        watching = "watch=1" in line
        if watching:
            self.watches += 1
            assert "resourceVersion=100" in line
        else:
            self.lists += 1
        if self.faults:
            await self.faults.popleft()(writer)
        elif not watching:
            served.send(writer, "200 OK", listing(*self.objects))
        else:
            while name := await self._said.get():
                await served.stream(writer, event(name))


def listing(*names: str) -> bytes:
    return json.dumps(served.page(*names)[1]).encode()


def event(name: str) -> bytes:
    manifest = {"metadata": {"name": name, "resourceVersion": "101"}}
    return json.dumps({"type": "ADDED", "object": manifest}).encode() + b"\n"


class Followed:
    """What a watch yields, and the faults it told of."""

    def __init__(self, client: api.Api, resource: api.Resource = THINGS) -> None:
        self.faults: list[api.ApiError] = []
        self._events = watch.follow(client, resource, self._report)

    def _report(self, _: api.Resource, error: api.ApiError | None) -> None:
        if error is not None:
            self.faults.append(error)

    async def next(self) -> list[str]:
        """Return the names of the next list, or of the object that changed."""
        match await anext(self._events):
            case watch.Snapshot(objects):
                return ["list", *sorted(name for _, name in objects)]
            case watch.Changed((_, name)):
                return [name]
            case other:
                raise AssertionError(other)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each pause between two tries would have been, in seconds; none is waited for."""
    pauses: list[float] = []
    real = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    return pauses


@contextlib.asynccontextmanager
async def followed(cluster: Cluster) -> AsyncIterator[Followed]:
    async with served.server(cluster.answer) as (client, _):
        yield Followed(client)


@pytest.mark.parametrize("fault", STORM.values(), ids=STORM)
def test_lists_that_fail_are_asked_for_again_until_one_is_whole(
    fault: Fault, waited: list[float]
) -> None:
    async def scenario() -> None:
        cluster = Cluster("a", "b")
        cluster.faults.extend([fault] * 5)
        async with followed(cluster) as watched:
            assert await watched.next() == ["list", "a", "b"]
        assert (cluster.lists, cluster.watches) == (6, 0)
        assert len(watched.faults) == len(waited) == 5

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", STORM.values(), ids=STORM)
@pytest.mark.usefixtures("waited")
def test_watches_that_fail_neither_lose_their_place_nor_list_anew(fault: Fault) -> None:
    async def scenario() -> None:
        cluster = Cluster("a")
        async with followed(cluster) as watched:
            assert await watched.next() == ["list", "a"]
            cluster.faults.extend([fault] * 5)
            cluster.say("b")
            assert await watched.next() == ["b"]
        assert (cluster.lists, cluster.watches) == (1, 6)

    asyncio.run(scenario())


def test_a_long_storm_is_met_by_ever_longer_pauses_of_ten_seconds_at_most(
    waited: list[float],
) -> None:
    async def scenario() -> None:
        cluster = Cluster("a")
        cluster.faults.extend([*STORM.values()] * 5)
        async with followed(cluster) as watched:
            assert await watched.next() == ["list", "a"]

    asyncio.run(scenario())
    ceilings = [min(10.0, 0.1 * 2.0**faults) for faults in range(1, len(waited) + 1)]
    assert len(waited) == 40
    assert all(c / 2 <= s <= c for s, c in zip(waited, ceilings, strict=True))


@pytest.mark.usefixtures("waited")
def test_half_a_list_is_never_taken_for_a_whole_one() -> None:
    """The second page fails: what the first one lacks would seem to be deleted."""

    async def scenario() -> None:
        cluster = Cluster("a", "b")
        first = json.dumps(served.page("a", token="more")[1]).encode()
        for fault in (STORM["503"], refuses("410 Gone", b'{"message":"token expired"}')):
            cluster.faults.extend([refuses("200 OK", first), fault])
        async with followed(cluster) as watched:
            assert await watched.next() == ["list", "a", "b"]
        assert [fault.status for fault in watched.faults] == [503, 410]

    asyncio.run(scenario())


def test_a_list_that_comes_slowly_is_waited_for_and_holds_up_no_other_watch() -> None:
    async def scenario() -> None:
        whole = asyncio.Event()
        body = listing("a", "b")
        half = len(body) // 2

        async def slowly(writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            for at in range(half):
                writer.write(body[at : at + 1])
                await writer.drain()
            await whole.wait()
            writer.write(body[half:])

        things, others = Cluster("a", "b"), Cluster("c")
        things.faults.append(slowly)

        async def answer(line: str, writer: asyncio.StreamWriter) -> None:
            await (others if OTHERS.path in line else things).answer(line, writer)

        async with served.server(answer) as (client, _):
            slow, quick = Followed(client), Followed(client, OTHERS)
            waiting = asyncio.create_task(slow.next())
            assert await quick.next() == ["list", "c"]
            others.say("d")
            assert await quick.next() == ["d"]
            assert (things.lists, waiting.done()) == (1, False)
            whole.set()
            assert await waiting == ["list", "a", "b"]
        assert slow.faults == []

    asyncio.run(scenario())


def test_a_list_that_stops_midway_is_given_up_and_asked_for_again(waited: list[float]) -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def stops(writer: asyncio.StreamWriter) -> None:
            if not cluster.faults:  # the list that follows may take as long as this machine needs
                client._client.timeout = None
            await is_cut(writer)
            await writer.drain()
            await never.wait()

        cluster = Cluster("a")
        cluster.faults.extend([stops, stops])
        async with served.server(cluster.answer) as (client, _):
            client._client.timeout = (None, 0.05, None, None)  # to connect, read, write, wait
            watched = Followed(client)
            assert await watched.next() == ["list", "a"]
        assert all("ReadTimeout" in str(fault) for fault in watched.faults)
        assert len(waited) == len(watched.faults) >= 2

    asyncio.run(scenario())
