# SPDX-License-Identifier: MIT
import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from speaker.cluster import api, watch

PODS = api.Resource("things", "/api/v1/things")
Step = list[api.Manifest] | api.Manifest | api.ApiError


def thing(name: str, version: int) -> api.Manifest:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> api.Manifest:
    return {"type": kind, "object": thing(name, version)}


class End:
    """The server ends the stream, as it does when its timeout is over."""


class Script:
    """An API server that plays a script: a list, then steps of one stream after another."""

    def __init__(self, *steps: object) -> None:
        self._steps = list(steps)
        self.calls: list[str] = []
        self.timeouts: list[int] = []

    async def list(self, resource: api.Resource) -> tuple[list[api.Manifest], str]:
        self.calls.append("list")
        step = self._steps.pop(0)
        if isinstance(step, api.ApiError):
            raise step
        assert isinstance(step, list)
        return step, "100"

    async def watch(
        self, resource: api.Resource, version: str, timeout_s: int
    ) -> AsyncIterator[api.Manifest]:
        self.calls.append(f"watch {version}")
        self.timeouts.append(timeout_s)
        while self._steps:
            step = self._steps.pop(0)
            if isinstance(step, End):
                return
            if isinstance(step, api.ApiError):
                raise step
            assert isinstance(step, dict)
            yield step
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "BACKOFF_S", (0.0, 0.0))


def follow(script: Script, count: int) -> tuple[list[watch.Event], list[str]]:
    """Return the first events, and the faults that were reported."""
    faults: list[str] = []

    def report(_: api.Resource, error: api.ApiError | None) -> None:
        if error is not None:
            faults.append(str(error))

    async def gather() -> list[watch.Event]:
        seen: list[watch.Event] = []
        async with asyncio.timeout(10):
            async for item in watch.follow(script, PODS, report):
                seen.append(item)
                if len(seen) == count:
                    break
        return seen

    return asyncio.run(gather()), faults


def names(snapshot: watch.Event) -> Iterable[str]:
    assert isinstance(snapshot, watch.Snapshot)
    return sorted(name for _, name in snapshot.objects)


def test_a_list_and_then_what_changes() -> None:
    script = Script(
        [thing("a", 1), thing("b", 2)],
        event("ADDED", "c", 101),
        event("MODIFIED", "a", 102),
        event("DELETED", "b", 103),
    )
    seen, faults = follow(script, 4)
    assert names(seen[0]) == ["a", "b"]
    assert seen[1:] == [
        watch.Changed(("shop", "c"), thing("c", 101)),
        watch.Changed(("shop", "a"), thing("a", 102)),
        watch.Deleted(("shop", "b")),
    ]
    assert script.calls == ["list", "watch 100"]
    assert faults == []


def test_a_stream_that_ends_is_resumed_where_it_was() -> None:
    script = Script([], event("ADDED", "a", 101), End(), event("ADDED", "b", 102))
    seen, faults = follow(script, 3)
    assert len(seen) == 3
    assert script.calls == ["list", "watch 100", "watch 101"]
    assert faults == []


def test_bookmarks_move_the_place_to_resume_from_and_nothing_else() -> None:
    script = Script([], event("BOOKMARK", "", 500), End(), event("ADDED", "a", 501))
    seen, _ = follow(script, 2)
    assert isinstance(seen[1], watch.Changed)
    assert script.calls == ["list", "watch 100", "watch 500"]


def test_a_broken_stream_is_resumed_and_reported() -> None:
    broken = api.ApiError("watching things: ReadTimeout")
    script = Script([], event("ADDED", "a", 101), broken, event("ADDED", "b", 102))
    seen, faults = follow(script, 3)
    assert len(seen) == 3
    assert script.calls[-1] == "watch 101"
    assert faults == ["watching things: ReadTimeout"]


@pytest.mark.parametrize(
    "gone",
    [
        api.ApiError("watching things: 410: too old", 410),
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}},
    ],
    ids=["on connect", "in the stream"],
)
def test_a_lost_history_is_listed_anew_so_that_deletions_are_seen(gone: Step) -> None:
    script = Script([thing("a", 1), thing("b", 2)], gone, [thing("b", 2)], event("ADDED", "c", 9))
    seen, faults = follow(script, 3)
    assert [names(snapshot) for snapshot in seen[:2]] == [["a", "b"], ["b"]]
    assert script.calls == ["list", "watch 100", "list", "watch 100"]
    assert faults == [
        "watching things: 410: too old"
        if not isinstance(gone, dict)
        else "watching things: too old"
    ]


def test_another_error_in_the_stream_does_not_lose_the_place() -> None:
    error = {"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}}
    script = Script([], event("ADDED", "a", 101), error, event("ADDED", "b", 102))
    follow(script, 3)
    assert script.calls == ["list", "watch 100", "watch 101"]


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": None},
        {"object": {}},
        {"type": "ADDED", "object": {"metadata": {"resourceVersion": "101"}}},
        api.MalformedError("watching things: malformed"),
    ],
)
def test_what_a_malformed_event_hides_is_listed_anew(nonsense: Step) -> None:
    script = Script([], nonsense, [thing("a", 101)], event("ADDED", "b", 102))
    seen, faults = follow(script, 3)
    assert names(seen[1]) == ["a"]
    assert isinstance(seen[2], watch.Changed)
    assert script.calls == ["list", "watch 100", "list", "watch 100"]
    assert len(faults) == 1
    assert "malformed" in faults[0]


@pytest.mark.parametrize("strange", [{}, {"metadata": {}}, None, "a"])
def test_a_list_of_strange_objects_is_waited_out(strange: api.Manifest) -> None:
    seen, faults = follow(Script([strange], [thing("a", 1)]), 1)
    assert names(seen[0]) == ["a"]
    assert faults == ["listing things: an object without metadata.name"]


def test_a_storm_of_failing_lists_is_waited_out() -> None:
    storm = [api.ApiError(f"GET: 503: storm {index}", 503) for index in range(30)]
    seen, faults = follow(Script(*storm, [thing("a", 1)]), 1)
    assert names(seen[0]) == ["a"]
    assert len(faults) == 30


def test_the_server_is_asked_to_end_each_stream_within_five_minutes() -> None:
    script = Script([], *[End()] * 20, event("ADDED", "a", 101))
    follow(script, 2)
    assert all(240 <= timeout_s <= 300 for timeout_s in script.timeouts)
    assert len(set(script.timeouts)) > 1
