# SPDX-License-Identifier: MIT
"""What a Pod can learn of itself, as environment and as files: the downward API."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.agent import spec

SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the Pod runs."""

    node: str
    host_addresses: tuple[str, ...]
    addresses: tuple[str, ...]


def value(pod: spec.Pod, facts: Facts, path: str) -> str:
    """Return a field by its path; raise :class:`~lab.agent.spec.UnsupportedError` for another."""
    match = SUBSCRIPT.fullmatch(path)
    if match:
        return _map(pod, match[1]).get(match[2], "")
    if path in ("metadata.labels", "metadata.annotations"):
        return _lines(_map(pod, path.removeprefix("metadata.")))
    simple = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": facts.node,
        "spec.serviceAccountName": pod.service_account,
        "status.hostIP": facts.host_addresses[0],
        "status.hostIPs": ",".join(facts.host_addresses),
        "status.podIP": facts.addresses[0],
        "status.podIPs": ",".join(facts.addresses),
    }
    if path not in simple:
        raise spec.UnsupportedError(
            f"the field {path!r} is none that a lab gives to a Pod: {', '.join(sorted(simple))}"
        )
    return simple[path]


def _map(pod: spec.Pod, name: str) -> Mapping[str, str]:
    return pod.labels if name == "labels" else pod.annotations


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items())
    )
