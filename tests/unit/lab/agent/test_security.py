# SPDX-License-Identifier: MIT
from typing import Any

import pytest

from lab.agent import container, security, spec
from tests.unit.lab.agent import fakes

ROOT = spec.Image(("app",), {})
OTHER = spec.Image(("app",), {}, user=65532)


def names(image: spec.Image, pods: dict[str, Any] | None = None, **own: Any) -> set[str]:
    pod = spec.parse(
        fakes.pod(
            securityContext=pods or {},
            containers=[{"name": "main", "image": "i", "securityContext": own}],
        )
    )
    numbers = security.capabilities("main", pod.containers[0].security, image)
    return {security.CAPABILITIES[number] for number in numbers}


def test_the_numbers_are_those_of_the_kernel() -> None:
    index = security.CAPABILITIES.index
    assert (index("CHOWN"), index("NET_RAW"), index("SYS_ADMIN"), index("BPF")) == (0, 13, 21, 39)


def test_the_speakers_context_leaves_one_capability() -> None:
    assert names(ROOT, capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}) == {"NET_RAW"}


def test_without_a_context_root_has_what_a_runtime_gives() -> None:
    assert names(ROOT) == security.DEFAULT


def test_another_user_than_root_has_none_even_if_some_are_added() -> None:
    assert names(OTHER, capabilities={"add": ["NET_RAW"]}) == set()
    assert names(ROOT, runAsUser=1000, capabilities={"add": ["NET_RAW"]}) == set()


def test_a_privileged_container_has_all() -> None:
    assert names(ROOT, privileged=True) == set(security.CAPABILITIES)


def test_the_containers_user_counts_before_the_pods_and_the_images() -> None:
    assert names(OTHER, {"runAsUser": 1000}, runAsUser=0) == security.DEFAULT


@pytest.mark.parametrize(("image", "own"), [(ROOT, {}), (OTHER, {"runAsUser": 0})])
def test_root_is_refused_where_the_pod_says_that_it_is_none(
    image: spec.Image, own: dict[str, Any]
) -> None:
    with pytest.raises(container.CannotStartError, match="runAsNonRoot and would run as root"):
        names(image, {"runAsNonRoot": True}, **own)


def test_a_capability_that_does_not_exist_is_named() -> None:
    with pytest.raises(container.CannotStartError, match=r"\['CAP_NET_RAW'\]"):
        names(ROOT, capabilities={"add": ["CAP_NET_RAW"]})
