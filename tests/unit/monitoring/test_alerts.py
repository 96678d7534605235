# SPDX-License-Identifier: MIT
"""The alerts, judged by promtool over series that `tools/series.py` recorded in the lab.

A recording lasts a minute or two. Afterwards, for as long as the alert takes, the hooks are called
at the pace of the last half minute, and nothing else changes.
"""

import pathlib
import re
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import yaml

from tools import programs, series

RULES = pathlib.Path(__file__).parents[3] / "chart" / "alerts" / "l2lb.yaml"
STEP_S = series.EVERY_S
PACE_STEPS = 6  # two calls of each balancer's hook
NODE = 'node="node-2"'
AGE = "l2lb_speaker_watch_age_seconds"
CALLS = "l2lb_hook_calls_total"

Series = dict[str, list[float | None]]


@pytest.fixture(scope="session")
def promtool() -> pathlib.Path:
    found = programs.PROMTOOL.find()
    if found is None:
        pytest.skip("promtool is missing: 'make alerts' builds it once and runs this")
    return found


def recorded(scene: str) -> Series:
    content = yaml.safe_load((series.FOLDER / f"{scene}.yaml").read_text())
    assert content["interval"] == f"{STEP_S:.0f}s"
    return {each["series"]: expanded(each["values"]) for each in content["input_series"]}


def expanded(notation: str) -> list[float | None]:
    values: list[float | None] = []
    for word in notation.split():
        value, _, count = word.partition("x")
        times = int(count or 1) + (value != "_" and bool(count))
        values += [None if value in {"_", "stale"} else float(value)] * times
    return values


def gone_on(values: list[float | None], *, pace: float, minutes: float) -> str:
    """The notation of a series that goes on; one that has ended stays away."""
    told = series.notation(values)
    last = values[-1]
    if last is None:
        return told
    return f"{told} {last + pace}+{pace}x{round(minutes * 60 / STEP_S)}"


def pace_of(name: str, values: list[float | None], rising: str) -> float:
    metric = name.partition("{")[0]
    if metric == rising:
        return STEP_S
    before, last = values[max(-len(values), -1 - PACE_STEPS)], values[-1]
    if before is None or last is None or metric != CALLS:
        return 0.0
    return (last - before) / PACE_STEPS


def firing(
    promtool: pathlib.Path,
    folder: pathlib.Path,
    shown: Series,
    expected: Iterable[str],
    *,
    minutes: float,
    rising: str = "",
) -> None:
    """Check which alerts fire so long after the recording; the rising series ages."""
    length = max(len(values) for values in shown.values())
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": f"{STEP_S:.0f}s",
        "tests": [
            {
                "interval": f"{STEP_S:.0f}s",
                "input_series": [
                    {
                        "series": name,
                        "values": gone_on(
                            values,
                            pace=pace_of(name, values, rising),
                            minutes=minutes,
                        ),
                    }
                    for name, values in shown.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{round(length * STEP_S + minutes * 60 - STEP_S)}s",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected
                        ],
                    }
                ],
            }
        ],
    }
    judged(promtool, folder, document)


def judged(promtool: pathlib.Path, folder: pathlib.Path, document: dict[str, Any]) -> None:
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(document, width=100_000))
    answer = subprocess.run(
        [str(promtool), "test", "rules", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("scene", "minutes", "expected"),
    [
        ("calm", 60, []),
        ("failover", 10, []),
        ("flapping", 1, ["L2lbManyFailovers"]),
        ("deaf", 10, ["L2lbHeartbeatLoss"]),
        ("conflict", 3, ["L2lbAddressConflict"]),
        ("conflict", 20, []),
        ("nowhere", 3, ["L2lbAddressNotAnnounced"]),
        ("full", 15, ["L2lbPoolNearlyFull"]),
        ("refusing", 10, ["L2lbWebhookErrors"]),
        ("uncalled", 15, ["L2lbHooksNotCalled"]),
    ],
)
def test_what_happens_raises_the_alerts_that_it_should_and_no_other(
    promtool: pathlib.Path, tmp_path: pathlib.Path, scene: str, minutes: float, expected: list[str]
) -> None:
    firing(promtool, tmp_path, recorded(scene), expected, minutes=minutes)


def test_an_api_server_that_stays_away_is_told_after_minutes(
    promtool: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shown = recorded("unwatched")

    firing(promtool, tmp_path, shown, [], minutes=2, rising=AGE)
    firing(
        promtool, tmp_path, shown, ["L2lbHooksNotCalled", "L2lbWatchStale"], minutes=10, rising=AGE
    )


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (lambda name: re.sub(f'ids="[^"]*",{NODE}', f'ids="00",{NODE}', name), "L2lbKeysDiffer"),
        (lambda name: "" if "_speaker_" in name else name, "L2lbNoSpeakers"),
    ],
    ids=["one node's keys", "no speaker"],
)
def test_what_the_lab_does_not_play_is_told_too(
    promtool: pathlib.Path, tmp_path: pathlib.Path, alter: Callable[[str], str], expected: str
) -> None:
    shown = {
        altered: values for name, values in recorded("calm").items() if (altered := alter(name))
    }

    firing(promtool, tmp_path, shown, [expected], minutes=30)


def balancer_syncs(outcome: str, counted: list[float]) -> Series:
    return {f'{CALLS}{{hook="balancer_sync",outcome="{outcome}",pod="p"}}': list(counted)}


@pytest.mark.parametrize("outcome", ["failed", "too_large", "malformed", "refused"])
def test_one_balancer_of_many_whose_every_sync_fails_is_told(
    promtool: pathlib.Path, tmp_path: pathlib.Path, outcome: str
) -> None:
    steps = range(2 * PACE_STEPS)  # of STEP_S; a balancer is synced every second one
    shown = (
        recorded("calm")
        | balancer_syncs(outcome, [0.5 * step for step in steps])
        | balancer_syncs("ok", [0.5 * 49 * step for step in steps])
    )

    firing(promtool, tmp_path, shown, ["L2lbWebhookErrors"], minutes=10)


@pytest.mark.parametrize("minutes", [3, 6, 10])
def test_a_start_at_which_hooks_are_refused_for_seconds_is_told_to_nobody(
    promtool: pathlib.Path, tmp_path: pathlib.Path, minutes: float
) -> None:
    burst = [0.0] * PACE_STEPS + [60.0, 120.0] + [120.0] * PACE_STEPS
    shown = recorded("calm") | balancer_syncs("refused", burst)

    firing(promtool, tmp_path, shown, [], minutes=minutes)


def test_alerts_tell_what_is_wrong_in_sentences(
    promtool: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": f'{AGE}{{node="n1",resource="own Node"}}', "values": "900x30"},
                    {
                        "series": 'l2lb_speaker_blocked_addresses{node="n1",reason="NoInterface"}',
                        "values": "2x30",
                    },
                    {
                        "series": 'l2lb_speaker_blocked_addresses{node="n1",reason="AddressInUse"}',
                        "values": "1x30",
                    },
                ],
                "alert_rule_test": [
                    told(
                        "L2lbAddressNotAnnounced",
                        {"severity": "critical", "reason": "NoInterface"},
                        "2 addresses are announced by no node",
                        "Services have 2 addresses that no speaker is known to answer for: "
                        "NoInterface. Connections to them fail.",
                    ),
                    told(
                        "L2lbAddressConflict",
                        {"severity": "critical", "reason": "AddressInUse", "node": "n1"},
                        "two machines answer for one address",
                        "n1 sees a stranger answer for an address of a pool and does not take it "
                        "(AddressInUse).",
                    ),
                    told(
                        "L2lbWatchStale",
                        {"severity": "warning", "resource": "own Node", "node": "n1"},
                        "n1 has not heard of own Node for 15m 0s",
                        "The speaker of n1 goes on with what it knows: it announces and fails "
                        "over, but learns of no new address and of none that was taken away.",
                    ),
                ],
            }
        ],
    }

    judged(promtool, tmp_path, document)


def told(name: str, labels: dict[str, str], summary: str, description: str) -> dict[str, Any]:
    return {
        "alertname": name,
        "eval_time": "20m",
        "exp_alerts": [
            {
                "exp_labels": labels,
                "exp_annotations": {"summary": summary, "description": description},
            }
        ],
    }
