# SPDX-License-Identifier: MIT
from typing import Any

import pytest

from lab.agent import spec
from tests.unit.lab.agent import fakes


def container(**fields: Any) -> spec.Container:
    return spec.parse(fakes.pod(containers=[{"name": "main", "image": "i", **fields}])).containers[
        0
    ]


def test_a_probe_gets_the_defaults_of_the_api() -> None:
    probe = container(livenessProbe={"tcpSocket": {"port": 80}}).liveness
    action = spec.Action("tcpSocket", port=80)
    assert probe == spec.Probe(action, 0, 10, 1, 1, 3, None)


def test_a_probe_finds_a_port_by_its_name() -> None:
    ports = [{"name": "health", "containerPort": 7472}]
    probe = container(ports=ports, readinessProbe={"httpGet": {"port": "health"}}).readiness
    assert probe is not None
    assert (probe.action.port, probe.action.path, probe.action.scheme) == (7472, "/", "http")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"livenessProbe": {"httpGet": {"port": "nowhere"}}}, "the port 'nowhere'"),
        ({"livenessProbe": {"grpc": {"port": 1}}}, "none of exec, httpGet, tcpSocket and sleep"),
        ({"restartPolicy": "Always"}, "a lab runs no sidecar containers"),
        ({"lifecycle": {"postStart": {}}}, "a lab runs none"),
    ],
)
def test_what_a_lab_does_not_do_is_named(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(spec.UnsupportedError, match=complaint):
        container(**fields)


def test_a_grace_of_zero_is_not_the_default() -> None:
    assert spec.parse(fakes.pod(terminationGracePeriodSeconds=0)).grace_s == 0
    assert spec.parse(fakes.pod()).grace_s == 30


def test_the_containers_security_context_overrides_the_pods() -> None:
    pod = fakes.pod(securityContext={"runAsUser": 1000, "runAsNonRoot": True})
    pod["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0, "runAsNonRoot": False}
    security = spec.parse(pod).containers[0].security
    assert (security.user, security.non_root) == (0, False)


def test_a_pod_of_the_highest_priorities_is_stopped_last() -> None:
    assert spec.parse(fakes.pod(priority=2_000_001_000)).critical
    assert not spec.parse(fakes.pod(priority=1_000_000)).critical
