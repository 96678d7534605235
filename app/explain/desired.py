# SPDX-License-Identifier: MIT
"""What the balancer's hook would answer for the cluster as it is, or as it might be."""

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app import annotations, pending
from app.conditions import Verdict
from app.explain import reading
from app.hooks import balancer_sync, call
from app.models import hooks
from contract import child, names


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The children that should exist, and by Service (`namespace/name`) why it lacks addresses."""

    children: tuple[child.Child, ...]
    lacking: Mapping[str, Verdict]


def answer(
    objects: reading.Objects,
    namespaces: Sequence[Any],
    balancer: str,
    *,
    now: dt.datetime,
    keys: annotations.Keys,
) -> Answer:
    """Ask the hook as Metacontroller would; it is the same function.

    Raises KeyError for a balancer that is not among `objects`, and HookError where the hook would
    refuse.
    """
    balancers = _by_key(objects.balancers)
    body = {
        "parent": balancers[balancer],
        "children": {
            hooks.SERVICES: _by_key(
                manifest
                for manifest in objects.services
                if _label(manifest, names.PROXY_NAME_LABEL) == names.PROXY_NAME
                and _label(manifest, names.CHILD_BALANCER) == balancer
            )
        },
        "related": {
            hooks.BALANCERS: balancers,
            hooks.NAMESPACES: _by_key(namespaces),
            hooks.NODES: _by_key(objects.nodes or ()),
            hooks.SERVICES: _by_key(
                manifest
                for manifest in objects.services
                if _label(manifest, names.SERVICE_BALANCER) == balancer
            ),
        },
    }
    answered = balancer_sync.respond(json.dumps(body).encode(), call.Call(now=now, keys=keys))
    children, lacking = [], {}
    for manifest in json.loads(hooks.encode(answered.body))["children"]:
        verdict = pending.decode(manifest)
        if verdict is not None:
            metadata = manifest["metadata"]
            service = metadata["annotations"][names.CHILD_SERVICE]
            lacking[f"{metadata['namespace']}/{service}"] = verdict
        elif _label(manifest, names.PROXY_NAME_LABEL) == names.PROXY_NAME:
            children.append(child.decode(manifest))
    return Answer(tuple(children), lacking)


def _by_key(manifests: Iterable[Any]) -> dict[str, Any]:
    """Return objects by namespace and name, as Metacontroller sends them."""
    found = {}
    for manifest in manifests:
        metadata = manifest["metadata"]
        namespace = metadata.get("namespace")
        found[f"{namespace}/{metadata['name']}" if namespace else metadata["name"]] = manifest
    return found


def _label(manifest: Mapping[str, Any], label: str) -> Any:
    return ((manifest.get("metadata") or {}).get("labels") or {}).get(label)
