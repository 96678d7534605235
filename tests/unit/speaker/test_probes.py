# SPDX-License-Identifier: MIT
import ipaddress

import pytest

from speaker.wire import probes

ADDRESS = ipaddress.ip_address("192.0.2.1")


def always() -> bool:
    return True


def run(asked: probes.Probes, until: float) -> tuple[list[float], list[tuple[float, bytes | None]]]:
    sent: list[float] = []
    ended: list[tuple[float, bytes | None]] = []
    while (now := asked.next_at()) is not None and now <= until:
        ask, outcomes = asked.due(now, always)
        sent += [now] * len(ask)
        ended += [(now, outcome.answered_by) for outcome in outcomes]
    return sent, ended


@pytest.mark.parametrize(
    ("pace", "times", "end"),
    [
        ("short", [10.0, 10.07, 10.14], 10.2),
        ("strict", [10.0, 11.5, 13.0], 15.0),
        ("off", [], 10.0),
    ],
)
def test_silence_means_free(pace: str, times: list[float], end: float) -> None:
    asked = probes.Probes(probes.PACES[pace])
    asked.start(ADDRESS, 10.0)
    sent, ended = run(asked, 100.0)
    assert sent == pytest.approx(times)
    assert [(round(moment, 6), mac) for moment, mac in ended] == [(end, None)]


def test_an_answer_ends_the_asking_at_once() -> None:
    asked = probes.Probes(probes.SHORT)
    asked.start(ADDRESS, 0.0)
    asked.due(0.0, always)
    asked.answered(ADDRESS, b"first!")
    asked.answered(ADDRESS, b"second")
    assert asked.due(0.01, always) == ([], [probes.Outcome(ADDRESS, b"first!", frozenset())])
    assert asked.next_at() is None


def test_an_address_asked_for_twice_is_asked_for_once() -> None:
    asked = probes.Probes(probes.SHORT)
    asked.start(ADDRESS, 0.0)
    asked.start(ADDRESS, 0.1)
    assert len(run(asked, 10.0)[0]) == 3


def test_an_answer_for_what_nobody_asked_is_no_outcome() -> None:
    asked = probes.Probes(probes.SHORT)
    asked.answered(ADDRESS, b"nobody")
    assert asked.due(0.0, always) == ([], [])


def test_a_late_process_asks_as_often_and_waits_as_long_as_any() -> None:
    asked = probes.Probes(probes.SHORT)
    asked.start(ADDRESS, 0.0)
    assert asked.due(0.0, always) == ([ADDRESS], [])
    assert asked.due(0.3, always) == ([ADDRESS], [])
    assert asked.due(0.3, always) == ([], [])
    sent, ended = run(asked, 100.0)
    assert sent == pytest.approx([0.37])
    assert [moment for moment, _ in ended] == pytest.approx([0.43])


def test_who_asks_at_the_same_time_ends_nothing_and_is_told_at_the_end() -> None:
    asked = probes.Probes(probes.SHORT)
    asked.start(ADDRESS, 0.0)
    asked.contested(ADDRESS, b"rival!")
    ends = [
        outcome for moment in (0.0, 0.07, 0.14, 0.2) for outcome in asked.due(moment, always)[1]
    ]
    assert ends == [probes.Outcome(ADDRESS, None, frozenset({b"rival!"}))]


def test_questions_wait_until_they_are_allowed() -> None:
    asked = probes.Probes(probes.SHORT)
    for number in range(3):
        asked.start(ADDRESS + number, 0.0)
    left = [True, False, True]
    assert asked.due(0.0, left.pop) == ([ADDRESS], [])
    assert left == [True]
    assert asked.due(0.01, always) == ([ADDRESS + 1, ADDRESS + 2], [])
