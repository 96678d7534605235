# SPDX-License-Identifier: MIT
import asyncio
import pathlib
import types
from typing import Any

import pytest
import structlog

from speaker import background, http, knowledge, settings
from speaker.cluster import watch
from speaker.protocol import const, events
from tests.unit.speaker import test_cluster_view as scenes

CHOSEN = settings.Settings.parse(["--node-name", "n1"], {})
OWN = {
    "metadata": {"name": "n1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "198.51.100.7"}]},
}


def poll(
    monkeypatch: pytest.MonkeyPatch,
    known: knowledge.Knowledge,
    rounds: int,
    *,
    answer: int | None = None,
    peers_answer: bool = False,
    of_locals: bool = False,
) -> tuple[list[tuple[str, int, str]], int]:
    """Ask the health endpoints so many times, a second apart; return whom, and the changes."""
    asked: list[tuple[str, int, str]] = []
    seconds = iter(range(rounds))
    clock = types.SimpleNamespace(now=0.0)
    changes: list[None] = []

    async def status_of(host: str, port: int, path: str, timeout_s: float) -> int | None:
        asked.append((host, port, path))
        return answer

    async def wait(_: float) -> None:
        clock.now = float(next(seconds) + 1)
        if clock.now == rounds:
            raise asyncio.CancelledError

    monkeypatch.setattr(http, "status_of", status_of)
    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(background, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    if of_locals:
        work = background.poll_locals(CHOSEN, known, lambda: changes.append(None))
    else:
        work = background.poll_proxy(
            CHOSEN, known, lambda: peers_answer, lambda: changes.append(None)
        )
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work)
    return asked, len(changes)


def test_health_is_asked_at_the_nodes_address_and_locally_while_that_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = knowledge.Knowledge("n1")
    asked, _ = poll(monkeypatch, known, 1)
    assert asked == [(str(CHOSEN.local_address), 10256, "/healthz")]
    known.take_node(watch.Changed(("", "n1"), OWN))
    local = scenes.a_child(health_check_port=31000)
    known.children.apply(scenes.snapshot(scenes.manifest(local)))
    asked, _ = poll(monkeypatch, known, 1)
    assert asked == [("198.51.100.7", 10256, "/healthz")]
    asked, _ = poll(monkeypatch, known, 1, of_locals=True)
    assert asked == [("198.51.100.7", 31000, "/")]


@pytest.mark.parametrize(
    ("peers_answer", "rank"),
    [(True, events.Rank.PROXY_FAILING), (False, events.Rank.WELL)],
)
def test_a_proxy_that_never_answers_ranks_the_node_behind_only_if_a_peers_does(
    monkeypatch: pytest.MonkeyPatch, *, peers_answer: bool, rank: events.Rank
) -> None:
    known = knowledge.Knowledge("n1")
    poll(monkeypatch, known, 10, peers_answer=peers_answer)
    assert known.fitness().rank is events.Rank.WELL
    known = knowledge.Knowledge("n1")
    _, changes = poll(monkeypatch, known, 11, peers_answer=peers_answer)
    assert known.fitness().rank is rank
    assert changes == int(peers_answer)


def test_a_proxy_that_answers_is_told_to_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    known = knowledge.Knowledge("n1")
    poll(monkeypatch, known, 6, answer=200)
    assert known.fitness().proxy_well


def test_keys_that_can_not_be_used_leave_those_before_in_force(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(number: int) -> pathlib.Path:
        path = tmp_path / f"key-{number}"
        path.write_text(f"a long key, number {number}", "ascii")
        return path

    rounds = iter(
        [
            lambda: [write(number) for number in range(1, const.KEYS_MAX + 1)],
            lambda: None,
            lambda: write(0).unlink(),
        ]
    )

    async def wait(_: float) -> None:
        """Change the Secret instead of waiting."""
        act = next(rounds, None)
        if act is None:
            raise asyncio.CancelledError
        act()

    monkeypatch.setattr(asyncio, "sleep", wait)
    write(0)
    told: list[events.KeysChanged] = []
    lines: list[Any] = []

    def line(_: object, __: str, event: Any) -> Any:
        lines.append(event)
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[line])
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(
            background.follow_keys(tmp_path, settings.read_keys(tmp_path), told.append, logger)
        )
    assert told == [events.KeysChanged(settings.read_keys(tmp_path))]
    assert len(told[0].keys) == const.KEYS_MAX
    assert [each["then"] for each in lines if "then" in each] == ["goes on with the keys it has"]
