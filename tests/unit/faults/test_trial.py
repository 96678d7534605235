# SPDX-License-Identifier: MIT
import datetime as dt
import ipaddress
import json
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import delay, matrix, programs, stage, trial, wire
from tests.unit.explain import scenes


def result(address: str, *failed_at: float, gap_s: float = 0.04) -> dict[str, Any]:
    return {
        "address": address,
        "served": 10,
        "failed": len(failed_at),
        "failures": [{"at": at, "why": "no answer"} for at in failed_at],
        "cut": 0,
        "longest_gap_s": gap_s,
    }


def test_losses_are_told_apart_by_whether_the_address_was_on_a_struck_node() -> None:
    fared = trial._of_connections(
        [result("a", 1.0, 1.1, gap_s=0.3), result("b", 5.0), result("control")], ["a"]
    )
    assert (fared["failed"], fared["gap_s"]) == (2, 0.3)
    assert (fared["failed_elsewhere"], fared["gap_elsewhere_s"]) == (1, 0.04)
    assert fared["served"] == 20


def test_what_failed_while_the_control_failed_is_the_labs_loss() -> None:
    fared = trial._of_connections(
        [result("a", 1.0), result("b", 5.0, 9.0), result("control", 5.4)], ["a"]
    )
    assert fared["failed"] == 1
    assert fared["failed_elsewhere"] == 1
    assert fared["failed_with_control"] == 1
    assert fared["failed_control"] == 1


def seen_by(*answered: tuple[int, set[str]]) -> wire.Seen:
    """Return what a witness saw: so many questions a second apart, answered by these each time."""
    runs, at = [], 0.0
    for count, macs in answered:
        runs.append(wire.Run(at, at + count - 1, count, frozenset(macs)))
        at += count
    return wire.Seen(tuple(runs), every_s=1.0)


def test_silence_breaks_a_row_where_it_lasts_for_longer_than_the_row_says() -> None:
    row = matrix.Row("a fault", "a", "b", silent_s=29.0, silent_elsewhere_s=2.0)
    seen = {
        "struck": seen_by((5, {"a"}), (29, set()), (5, {"b"})),
        "well": seen_by((5, {"a"}), (2, set()), (5, {"a"}), (2, set())),
    }
    assert list(trial.silences(row, seen, ["struck"])) == []
    assert list(trial.silences(row, seen, [])) == [
        "nobody answered for struck for 29.0 s, 2 s at most"
    ]


def test_where_nobody_is_left_silence_counts_from_when_a_speaker_has_started() -> None:
    row = matrix.Row("a fault", "a", "b", silent_elsewhere_s=5.0, starts=True)
    seen = {"x": seen_by((5, {"a"}), (29, set()), (5, {"b"}))}
    assert list(trial.silences(row, seen, [], started_s=24.0)) == []
    assert list(trial.silences(row, seen, [], started_s=23.5)) == [
        "nobody answered for x for 29.0 s, 28.5 s at most"
    ]


def test_the_first_speaker_that_started_and_stays_up_is_found_in_the_logs(tmp_path: Path) -> None:
    def log(node: str, *seconds: int) -> None:
        lines = [
            json.dumps({"event": event, "timestamp": f"2026-11-29T00:00:{second:02}Z"})
            for second in seconds
            for event in ("started", "holder")
        ]
        (tmp_path / node).mkdir(exist_ok=True)
        (tmp_path / node / "system_pod_speaker.log").write_text("\n".join([*lines, "# noise"]))

    began = dt.datetime.fromisoformat("2026-11-29T00:00:10Z").timestamp()
    log("node-1", 1, 11, 17)  # and was killed again in between
    log("node-2", 2, 12, 15)
    log("node-3", 3)
    assert programs.first_started(tmp_path, began) == began + 5
    assert programs.first_started(tmp_path, began + 60) is None


def test_a_fail_over_of_many_seconds_breaks_a_row_that_says_nothing_of_silence() -> None:
    row = matrix.Row("a fault", "a", "b")
    (sentence,) = trial.silences(row, {"x": seen_by((5, {"a"}), (29, set()), (5, {"b"}))}, ["x"])
    assert sentence == "nobody answered for x for 29.0 s, 1 s at most"


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> matrix.Row:
    """A row with a result of an earlier run, in which all was well."""
    monkeypatch.setattr(matrix, "RESULTS", tmp_path / "faults")
    stated = matrix.Row("a fault", "a", "b", calm=True)
    stated.path.parent.mkdir()
    stated.path.write_text('{"broken": []}')
    return stated


def written(row: matrix.Row) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.path.read_text())
    return found


def test_a_fault_that_raises_leaves_a_broken_result(row: matrix.Row) -> None:
    def fault() -> None:
        with trial.recorded(row, "some"):
            assert not row.path.exists()
            raise TimeoutError("nobody took it\nand more")

    with pytest.raises(TimeoutError):
        fault()
    assert written(row)["broken"] == ["it ended early: nobody took it"]


def test_what_did_not_hold_fails_the_row_and_stands_in_its_result(row: matrix.Row) -> None:
    def fault() -> None:
        with trial.recorded(row, "some") as result:
            result.measured = {"silent_s": 0.2}
            result.broken += ["one", "two"]

    with pytest.raises(AssertionError, match="one; two"):
        fault()
    assert written(row)["broken"] == ["one", "two"]
    assert written(row)["silent_s"] == 0.2


def test_a_change_of_holder_breaks_a_calm_row_and_is_excused_on_a_starved_machine() -> None:
    calm, other = matrix.Row("a fault", "a", "b", calm=True), matrix.Row("another", "a", "b")
    seen = {"x": seen_by((5, {"a"}), (5, {"b"}), (5, {"a"}))}
    well = trial.Result({"failed_with_control": 0, "waited": 0.01})
    trial.excuse(calm, seen, well)
    assert (well.broken, well.excused) == (["2 changes of holder"], [])
    starved = trial.Result({"failed_with_control": 3, "waited": 0.12})
    trial.excuse(calm, seen, starved)
    assert starved.broken == []
    assert starved.excused == [
        "3 connections to other addresses failed while some to a node port did too",
        "2 changes of holder, while a speaker waited for a processor 12% of the time",
    ]
    free = trial.Result({"failed_with_control": 0, "waited": 0.01})
    trial.excuse(other, seen, free)
    assert (free.broken, free.excused) == ([], [])


class Lab:
    """As much of a lab as a stage needs without the cluster."""

    def __init__(self, *children: dict[str, Any]) -> None:
        self.children = children

    def nodes(self) -> list[str]:
        return [*stage.NODES, stage.BACKEND]

    def run(self, node: str, *argv: str) -> str:
        return f"mac of {node}\n"

    def items(self, kind: str, *argv: str) -> Sequence[dict[str, Any]]:
        return self.children


def stage_of(*children: dict[str, Any]) -> stage.Stage:
    return stage.Stage(Lab(*children), "some")  # type: ignore[arg-type] # enough of a lab


def test_an_answer_by_the_node_that_carries_the_pods_is_foreign_as_a_strangers_is() -> None:
    on = stage_of()
    assert on.foreign(["mac of node-1", "mac of node-4"]) == []
    assert on.foreign(["mac of node-1", "mac of node-5", "another"]) == ["another", "node-5"]


def test_whoever_answers_for_an_address_that_no_child_has_is_found() -> None:
    on = stage_of(scenes.child_of(address=ipaddress.ip_address("10.77.0.131")))
    now = {
        "10.77.0.130": frozenset[str](),
        "10.77.0.131": frozenset({"mac of node-1"}),
        "10.77.0.132": frozenset({"mac of node-2"}),
    }
    assert on.stray(now) == "10.77.0.132 answered by node-2: no child has it"
    del now["10.77.0.132"]
    assert on.stray(now) == ""


def test_an_address_that_two_answer_for_too_long_or_a_stranger_breaks_a_row() -> None:
    on = stage_of()
    one, two, other = "mac of node-1", "mac of node-2", "a strangers mac"
    seen = {
        "well": seen_by((5, {one}), (1, {one, two}), (5, {two})),
        "doubled": seen_by((5, {one}), (2, {one, two}), (5, {two})),
        "taken": seen_by((5, {one}), (1, {other})),
    }
    assert list(trial.strangers_and_doubles(on, seen, most_s=1.0)) == [
        "doubled was answered by two nodes for 2.0 s in all, 1 s at most",
        "taken was answered by a strangers mac, which is no balancer node",
    ]
    assert list(trial.strangers_and_doubles(on, seen, frozenset({other}), most_s=2.0)) == []


def test_a_claim_is_broken_by_whoever_else_answered_meanwhile_and_by_nobody() -> None:
    seen = {"x": seen_by((5, {"a"}), (5, {"a", "b"}), (5, set()))}

    def broken(nodes: str, first: float, last: float) -> list[str]:
        return list(trial.Claim("x", frozenset(nodes), first, last).broken(seen, str.upper))

    assert broken("AC", 0.0, 4.0) == []
    assert broken("AC", 0.0, 6.0) == ["x was answered by A, B, where only A, C should have"]
    assert broken("A", 11.0, 12.0) == ["x was answered by nobody, where only A should have"]


def test_a_speaker_that_ended_says_nothing_of_how_long_the_machine_let_it_wait() -> None:
    assert trial._waited({1: 0.0, 2: 5.0}, {1: 0.5, 3: 60.0}, 10.0) == 0.05
    assert trial._waited({1: 0.0}, {2: 0.0}, 10.0) == 0.0


def test_the_proxy_hands_on_what_is_said_both_ways_and_ends_with_its_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_echo, args=(server,))
        answering.start()
        with (
            delay.running(0.01, server.getsockname()[1]) as port,
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        ):
            connection.sendall(b"hello")
            assert connection.recv(100) == b"HELLO"
        answering.join(10)
        assert not answering.is_alive()


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while text := connection.recv(100):
            connection.sendall(text.upper())
