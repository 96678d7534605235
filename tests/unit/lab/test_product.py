# SPDX-License-Identifier: MIT
from typing import Any

import pytest
import yaml

from lab import images, product


@pytest.mark.parametrize(
    ("workload", "ready"),
    [
        ({}, False),
        ({"spec": {"replicas": 2}}, False),
        ({"spec": {"replicas": 2}, "status": {"readyReplicas": 1}}, False),
        ({"spec": {"replicas": 2}, "status": {"readyReplicas": 2}}, True),
        ({"status": {"desiredNumberScheduled": 0, "numberReady": 0}}, False),
        ({"status": {"desiredNumberScheduled": 5, "numberReady": 4}}, False),
        ({"status": {"desiredNumberScheduled": 5, "numberReady": 5}}, True),
    ],
)
def test_a_workload_is_ready_when_all_its_pods_are(
    workload: dict[str, Any], *, ready: bool
) -> None:
    assert product.is_ready(workload) is ready


def test_what_helm_does_meanwhile_is_no_complaint() -> None:
    said = b'level=WARN msg="found a symlink"\nError: INSTALLATION FAILED: no space\n'
    assert product.without_chatter(said) == "Error: INSTALLATION FAILED: no space"
    assert product.without_chatter(b"") == "(it said nothing)"


def test_metacontroller_runs_as_the_account_that_the_chart_lets_make_children() -> None:
    chart = yaml.safe_load((images.CHART / "values.yaml").read_text())["metacontroller"]
    objects = list(yaml.safe_load_all((product.METACONTROLLER / "install.yaml").read_text()))
    [deployment] = [found for found in objects if found["kind"] == "Deployment"]
    assert deployment["metadata"]["namespace"] == chart["namespace"]
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == chart["serviceAccount"]
