# SPDX-License-Identifier: MIT
"""What every Kubernetes object carries: its identity, labels and owner."""

from collections.abc import Mapping
from typing import Any

from lab.api import Json


def key(obj: Mapping[str, Any]) -> str:
    """Return ``namespace/name``, or ``name`` for an object of the whole cluster."""
    metadata = obj["metadata"]
    return named(metadata.get("namespace") or "", metadata["name"])


def named(namespace: str, name: str) -> str:
    """Return the key of an object known by its name."""
    return f"{namespace}/{name}" if namespace else name


def namespace(obj: Mapping[str, Any]) -> str:
    """Return the namespace, empty for an object of the whole cluster."""
    return str(obj["metadata"].get("namespace") or "")


def uid(obj: Mapping[str, Any]) -> str:
    """Return the UID that the API server gave the object."""
    return str(obj["metadata"]["uid"])


def labels(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return a copy of the labels."""
    return dict(obj["metadata"].get("labels") or {})


def annotations(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return a copy of the annotations."""
    return dict(obj["metadata"].get("annotations") or {})


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """Whether the object waits for its finalizers, or its grace period, to go away."""
    return obj["metadata"].get("deletionTimestamp") is not None


def controller_of(obj: Mapping[str, Any]) -> Json | None:
    """Return the owner reference with ``controller: true``, if there is one."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Json = reference
            return found
    return None


def owner_reference(parent: Mapping[str, Any]) -> Json:
    """Return the reference by which a child names its parent as its controller."""
    return {
        "apiVersion": parent["apiVersion"],
        "kind": parent["kind"],
        "name": parent["metadata"]["name"],
        "uid": uid(parent),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def group(obj: Mapping[str, Any]) -> str:
    """Return the name under which requests to hooks list objects of this kind."""
    return f"{obj['kind']}.{obj['apiVersion']}"


def api_group(api_version: str) -> str:
    """Return the group of an ``apiVersion``, empty for the core group."""
    return api_version.rpartition("/")[0]
