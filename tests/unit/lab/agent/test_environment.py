# SPDX-License-Identifier: MIT
import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.agent import container, environment, fields, sources, spec
from tests.unit.lab.agent import fakes

FACTS = fields.Facts("n1", ("10.77.0.11", "fd77::11"), ("10.88.1.2", "fd88:1::2"))


def resolve(
    *env: Mapping[str, Any],
    env_from: tuple[Mapping[str, Any], ...] = (),
    data: Mapping[tuple[str, str], Mapping[str, bytes]] | None = None,
) -> dict[str, str]:
    pod = spec.parse(
        fakes.pod(
            containers=[{"name": "main", "image": "i", "env": env, "envFrom": env_from}],
            serviceAccountName="robot",
        )
    )

    async def read(kind: sources.Kind, name: str) -> Mapping[str, bytes] | None:
        return (data or {}).get((kind, name))

    return asyncio.run(
        environment.resolve(
            pod, pod.containers[0], facts=FACTS, read=read, inherited={"PATH": "/bin"}
        )
    )


def reference(kind: str, **fields_of: Any) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {f"{kind}KeyRef": fields_of}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations", 'note="a \\"quoted\\" word"'),
        ("spec.nodeName", "n1"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "10.77.0.11"),
        ("status.podIP", "10.88.1.2"),
        ("status.podIPs", "10.88.1.2,fd88:1::2"),
    ],
)
def test_a_pod_learns_of_itself(path: str, expected: str) -> None:
    found = resolve({"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}})
    assert found["V"] == expected


def test_an_unknown_field_is_named_with_those_that_exist() -> None:
    with pytest.raises(spec.UnsupportedError, match=r"'status\.phase' is none .* status\.podIP"):
        resolve({"name": "V", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}})


def test_the_later_wins_over_the_earlier_and_may_use_it() -> None:
    found = resolve(
        {"name": "PATH", "value": "/opt:$(PATH)"},
        {"name": "A", "value": "$(PATH) $(B) $$(PATH)"},
        {"name": "B", "value": "late"},
    )
    assert found["A"] == "/opt:/bin $(B) $(PATH)"


def test_env_from_is_prefixed_and_env_overrides_it() -> None:
    found = resolve(
        {"name": "P_b", "value": "own"},
        env_from=({"configMapRef": {"name": "c"}, "prefix": "P_"},),
        data={("configMap", "c"): {"a": b"1", "b": b"2"}},
    )
    assert (found["P_a"], found["P_b"]) == ("1", "own")


def test_keys_of_secrets_and_config_maps_are_read() -> None:
    data = {("secret", "s"): {"k": b"hidden"}, ("configMap", "c"): {"k": b"open"}}
    assert resolve(reference("secret", name="s", key="k"), data=data)["V"] == "hidden"
    assert resolve(reference("configMap", name="c", key="k"), data=data)["V"] == "open"


def test_what_does_not_exist_is_named_unless_it_is_optional() -> None:
    with pytest.raises(container.CannotStartError, match="the secret 's' does not exist") as caught:
        resolve(reference("secret", name="s", key="k"))
    assert caught.value.reason == "CreateContainerConfigError"
    with pytest.raises(container.CannotStartError, match="the configmap 'c' has no key 'k'"):
        resolve(reference("configMap", name="c", key="k"), data={("configMap", "c"): {}})
    assert "V" not in resolve(reference("secret", name="s", key="k", optional=True))


def test_a_source_that_a_lab_does_not_know_is_refused() -> None:
    with pytest.raises(container.CannotStartError, match="'V' comes from resourceFieldRef"):
        resolve({"name": "V", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}})


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_doubling_every_dollar_sign_protects_any_text(text: str, variables: dict[str, str]) -> None:
    assert environment.expand(text.replace("$", "$$"), variables) == text
