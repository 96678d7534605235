# SPDX-License-Identifier: MIT
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lab.agent import spec, status
from tests.unit.lab.agent import fakes

RUNNING = status.Container(status.Running(fakes.START), ready=True, started=True, process="7")
WELL = status.Container(status.Terminated(0, fakes.START, fakes.START))
ILL = status.Container(status.Terminated(1, fakes.START, fakes.START))
BACKING_OFF = replace(ILL.now(status.Waiting("CrashLoopBackOff")), restarts=1)


def parsed(policy: str = "Always", **changes: Any) -> spec.Pod:
    containers = [{"name": name, "image": "i"} for name in ("a", "b")]
    return spec.parse(fakes.pod(containers=containers, restartPolicy=policy, **changes))


def whole(*containers: status.Container, **changes: Any) -> status.Whole:
    base = status.Whole(
        started=fakes.START,
        host_addresses=("10.77.0.11", "fd77::11"),
        addresses=("10.88.1.2", "fd88:1::2"),
        initialized=True,
        containers=dict(zip("ab", containers, strict=False)),
    )
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("policy", "containers", "changes", "expected"),
    [
        ("Always", (status.Container(), status.Container()), {}, "Pending"),
        ("Always", (RUNNING, status.Container()), {}, "Running"),
        ("Always", (RUNNING, RUNNING), {"initialized": False}, "Pending"),
        ("Always", (WELL, WELL), {}, "Running"),
        ("Always", (BACKING_OFF, BACKING_OFF), {}, "Running"),
        ("Always", (WELL, WELL), {"stopped": True}, "Succeeded"),
        ("Always", (WELL, ILL), {"stopped": True}, "Failed"),
        ("Never", (WELL, RUNNING), {}, "Running"),
        ("Never", (WELL, WELL), {}, "Succeeded"),
        ("Never", (WELL, ILL), {}, "Failed"),
        ("OnFailure", (WELL, ILL), {}, "Running"),
        ("OnFailure", (WELL, WELL), {}, "Succeeded"),
        ("Always", (WELL, WELL), {"reason": "Terminated"}, "Failed"),
        (
            "Never",
            (status.Container(), status.Container()),
            {"initialized": False, "init_containers": {"i": ILL}},
            "Failed",
        ),
    ],
)
def test_the_phase_follows_from_the_containers_and_the_restart_policy(
    policy: str,
    containers: tuple[status.Container, ...],
    changes: dict[str, Any],
    expected: str,
) -> None:
    assert status.phase(parsed(policy), whole(*containers, **changes)) == expected


def conditions(built: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in built["conditions"]}


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    built = status.build(parsed(), whole(RUNNING, RUNNING), {}, fakes.START)
    assert conditions(built)["Ready"] == "True"
    built = status.build(parsed(), whole(RUNNING, status.Container()), {}, fakes.START)
    assert conditions(built)["Ready"] == "False"
    assert "['b']" in built["conditions"][2]["message"]


def test_a_readiness_gate_holds_the_pod_back_but_not_its_containers() -> None:
    pod = parsed(readinessGates=[{"conditionType": "example/gate"}])
    built = status.build(pod, whole(RUNNING, RUNNING), {}, fakes.START)
    assert conditions(built)["Ready"] == "False"
    assert conditions(built)["ContainersReady"] == "True"
    gate = {"conditions": [{"type": "example/gate", "status": "True"}]}
    built = status.build(pod, whole(RUNNING, RUNNING), gate, fakes.START)
    assert conditions(built)["Ready"] == "True"


def test_a_pod_that_ended_well_is_complete_and_not_ready() -> None:
    built = status.build(parsed("Never"), whole(WELL, WELL), {}, fakes.START)
    ready = next(c for c in built["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")


def test_an_unchanged_condition_keeps_its_time() -> None:
    first = status.build(parsed(), whole(RUNNING, RUNNING), {}, fakes.START)
    later = fakes.START + timedelta(hours=1)
    assert status.build(parsed(), whole(RUNNING, RUNNING), first, later) == first
    changed = status.build(parsed(), whole(RUNNING, WELL), first, later)
    times = {c["type"]: c["lastTransitionTime"] for c in changed["conditions"]}
    assert times["Ready"] == "2026-01-01T01:00:00Z"
    assert times["Initialized"] == "2026-01-01T00:00:00Z"


def test_a_restarted_container_shows_its_last_end() -> None:
    restarted = replace(BACKING_OFF.now(status.Running(fakes.START)), process="8")
    built = status.build(parsed(), whole(restarted, RUNNING), {}, fakes.START)
    shown = built["containerStatuses"][0]
    assert shown["restartCount"] == 1
    assert shown["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    assert shown["lastState"]["terminated"]["exitCode"] == 1
    assert shown["containerID"] == "lab://8"


def test_addresses_replace_those_of_an_earlier_life() -> None:
    built = status.build(parsed(), whole(RUNNING, RUNNING), {}, fakes.START)
    assert built["podIPs"] == [{"$patch": "replace"}, {"ip": "10.88.1.2"}, {"ip": "fd88:1::2"}]
    assert built["hostIP"] == "10.77.0.11"
