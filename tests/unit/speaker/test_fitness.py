# SPDX-License-Identifier: MIT
import ipaddress

import pytest

from contract import child, pool
from speaker import fitness
from speaker.cluster import view
from speaker.protocol import events

GOOD = view.OwnNode(ready=True, network_unavailable=False, cordoned=False, excluded=False)
BALANCER = view.Balancer("front", (), pool.Pool.parse([]), ignores_exclude_label=False)


def observed(endpoint: fitness.Endpoint, *answers: tuple[float, int | None]) -> list[bool | None]:
    seen: list[bool | None] = []
    for moment, status in answers:
        endpoint.observe(status, moment)
        seen.append(endpoint.well)
    return seen


def a_child(name: str, health_check_port: int | None = None) -> view.KnownChild:
    made = child.Child(
        "shop",
        name,
        "web",
        "u",
        "front",
        ipaddress.ip_address("192.0.2.1"),
        ("n1",),
        1,
        (),
        1,
        health_check_port=health_check_port,
    )
    return view.KnownChild(made, 0, "1", {}, None)


def test_a_proxy_is_well_after_five_seconds_of_it() -> None:
    answers = [(float(second), 200) for second in range(7)]
    assert observed(fitness.Endpoint(), *answers) == [None] * 5 + [True, True]


def test_a_proxy_that_never_answered_says_nothing() -> None:
    assert observed(fitness.Endpoint(), (0.0, None), (100.0, None)) == [None, None]


def test_a_proxy_that_never_answered_fails_ten_seconds_after_a_peers_does() -> None:
    endpoint = fitness.Endpoint()
    moments = [(0.0, False), (50.0, True), (59.9, True), (60.0, True), (61.0, False)]
    seen = []
    for moment, expected in moments:
        endpoint.observe(None, moment, expected=expected)
        seen.append(endpoint.well)
    assert seen == [None, None, None, False, None]


def test_a_proxy_that_starts_late_is_well_after_five_seconds_of_it() -> None:
    endpoint = fitness.Endpoint()
    endpoint.observe(None, 0.0, expected=True)
    assert endpoint.observe(None, 10.0, expected=True)
    answers = [(12.0, 200), (16.9, 200), (17.0, 200)]
    assert observed(endpoint, *answers) == [False, False, True]


def test_a_node_whose_proxy_answers_tells_the_others() -> None:
    assert fitness.judge(GOOD, fitness.Endpoint(well=True)).proxy_well
    assert not fitness.judge(GOOD, fitness.Endpoint(well=False)).proxy_well
    assert not fitness.judge(GOOD, fitness.Endpoint()).proxy_well


def test_why_a_proxy_counts_as_failing_is_told() -> None:
    endpoint = fitness.Endpoint(well=False)
    assert "has never answered, and another node's does" in fitness.judge(GOOD, endpoint).why
    endpoint.observe(503, 0.0)
    assert fitness.judge(GOOD, endpoint).why == "the service proxy's health endpoint fails"


def test_a_proxy_that_says_no_fails_at_once_and_is_well_again_after_five_seconds() -> None:
    endpoint = fitness.Endpoint(well=True)
    answers = [(0.0, 200), (1.0, 503), (2.0, 200), (6.9, 200), (7.0, 200)]
    assert observed(endpoint, *answers) == [True, False, False, False, True]


def test_a_silent_proxy_fails_after_ten_seconds() -> None:
    endpoint = fitness.Endpoint(well=True)
    answers = [(0.0, 200), (1.0, None), (9.9, None), (10.0, None)]
    assert observed(endpoint, *answers) == [True, True, True, False]


def test_a_short_silence_changes_nothing() -> None:
    endpoint = fitness.Endpoint(well=True)
    assert observed(endpoint, (0.0, 200), (5.0, None), (6.0, 200)) == [True] * 3


@pytest.mark.parametrize(
    ("node", "proxy", "rank"),
    [
        (GOOD, True, events.Rank.WELL),
        (None, None, events.Rank.WELL),
        (view.OwnNode(None, False, False, False), None, events.Rank.WELL),
        (view.OwnNode(True, False, True, False), True, events.Rank.CORDONED),
        (GOOD, False, events.Rank.PROXY_FAILING),
        (view.OwnNode(True, False, True, False), False, events.Rank.PROXY_FAILING),
        (view.OwnNode(False, False, True, False), False, events.Rank.NOT_READY),
        (view.OwnNode(True, True, False, False), True, events.Rank.NOT_READY),
    ],
)
def test_the_worst_that_is_known_counts(
    node: view.OwnNode | None, *, proxy: bool | None, rank: events.Rank
) -> None:
    judged = fitness.judge(node, fitness.Endpoint(well=proxy))
    assert judged.rank is rank
    assert not judged.vetoed


def test_with_policy_local_only_what_is_served_here_is_not_declined() -> None:
    children = [a_child("plain"), a_child("served", 31000), a_child("elsewhere", 31001)]
    declined = fitness.declined(
        children, node=GOOD, balancers={"front": BALANCER}, serving={("shop", "served")}
    )
    assert declined == {("shop", "elsewhere")}


def test_an_excluded_node_declines_all_but_for_balancers_that_ignore_the_label() -> None:
    excluded = view.OwnNode(True, False, False, True)
    ignoring = view.Balancer("front", (), pool.Pool.parse([]), ignores_exclude_label=True)
    for balancer, expected in ((BALANCER, {("shop", "web")}), (ignoring, set())):
        declined = fitness.declined(
            [a_child("web")], node=excluded, balancers={"front": balancer}, serving=()
        )
        assert declined == expected
