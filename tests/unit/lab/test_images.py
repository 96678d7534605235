# SPDX-License-Identifier: MIT
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab import images, sandbox


def test_every_image_that_the_chart_names_is_a_program() -> None:
    values = yaml.safe_load((images.CHART / "values.yaml").read_text())["images"]
    version = yaml.safe_load((images.CHART / "Chart.yaml").read_text())["appVersion"]
    repositories = [one["repository"] for name, one in values.items() if name != "pullSecrets"]
    known = images.all_of_them(None)
    for repository in repositories:
        for tag in (version, *images.LATER):
            assert f"{repository}:{tag}" in known


def test_the_webhook_is_no_root_and_sees_the_checkout_wherever_it_lies() -> None:
    webhook = next(one for name, one in images.all_of_them(None).items() if "webhook" in name)
    assert webhook.user != 0
    assert str(sandbox.CHECKOUT) in webhook.paths
    assert str(Path(sys.base_prefix)) in webhook.paths


def test_the_real_metacontroller_is_run_with_the_flags_that_are_asked_of_users() -> None:
    image = images.all_of_them("/opt/metacontroller")[images.METACONTROLLER]
    assert image.argv[0] == "/opt/metacontroller"
    assert {"-client-go-qps=150", "-client-go-burst=300"} <= set(image.argv)
    readme = (images.CHART / "README.md").read_text()
    assert "--client-go-qps=150 --client-go-burst=300" in readme


@pytest.mark.parametrize("tag", images.LATER)
def test_a_later_release_is_another_program(tag: str) -> None:
    image = images.all_of_them(None)[f"l2-load-balancer/webhook:{tag}"]
    script = "from contract import child, names; print(names.CONTRACT_VERSION, child.encode)"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env=dict(image.environment),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith("2 <function _encode_later ")
    assert not said.stderr
