# SPDX-License-Identifier: MIT
"""The children that exist: all that the webhook remembers."""

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from app import errors, pending
from app.models import hooks, kubernetes
from app.placement import model
from app.service import user
from contract import announcement, child, names
from contract import errors as contract_errors

_REMEMBERED_BYTES: Final = 32 << 20  # of children, about 5 KB each
_ORDINAL: Final = re.compile(r"-l2-([1-9][0-9]{0,3})")
_LAST_APPLIED: Final = "metacontroller.k8s.io/last-applied-configuration"
# The parts of a child that we write. Only these are ever sent back from what an object says of
# itself, so that nobody can have anything else applied in Metacontroller's name.
_SPEC_FIELDS: Final = frozenset(
    {
        "allocateLoadBalancerNodePorts",
        "externalTrafficPolicy",
        "ipFamilies",
        "ipFamilyPolicy",
        "loadBalancerClass",
        "ports",
        "type",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """A child that exists. `created` is in seconds since the epoch.

    `held` is what placement remembers of it, `encoded` the answer that leaves it as it is.
    """

    child: child.Child
    held: model.Held
    encoded: msgspec.Raw
    created: float
    announcement: announcement.Announcement | None
    terminating: bool

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.child.namespace, self.child.name

    @property
    def ordinal(self) -> int:
        """What numbers it among its siblings, and stays."""
        return self.held.ordinal


@dataclasses.dataclass(frozen=True, slots=True)
class LeftAlone:
    """An object that cannot be read, or is not ours: named, and answered as it is.

    `manifest` is what keeps Metacontroller from deleting or changing it; None for an object that
    is no child, or that has no name to answer with. `foreign` is whether it is somebody else's.
    """

    kind: str
    name: str
    why: str
    manifest: Mapping[str, Any] | None = None
    foreign: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """All children in the order of their keys.

    `by_name` holds the readable ones, `names` every child's namespace and name.
    """

    by_service: Mapping[tuple[str, str], tuple[Observed, ...]]
    by_name: Mapping[tuple[str, str], Observed]
    left_alone: tuple[LeftAlone, ...]
    names: frozenset[tuple[str, str]]

    def of_service(self, namespace: str, uid: str) -> tuple[Observed, ...]:
        """Return the children of a Service."""
        return self.by_service.get((namespace, uid), ())

    def blocks(self, wanted: child.Child) -> bool:
        """Whether a child of that name is there that a Service which is gone has left behind.

        It has to go first: in place neither its family could change, nor its list's version rise.
        """
        before = self.by_name.get((wanted.namespace, wanted.name))
        return before is not None and before.child.service_uid != wanted.service_uid

    def encoded(self, wanted: child.Child) -> msgspec.Raw:
        """Return the JSON of a child as it is to be; nearly all are so already."""
        before = self.by_name.get((wanted.namespace, wanted.name))
        if before is not None and before.child == wanted:
            return before.encoded
        return _encode(wanted)


def read(children: Mapping[str, bytes | msgspec.Raw], *, balancer: str) -> Memory:
    """Sort a balancer's children: readable ones by namespace and Service UID, and the others."""
    by_service: dict[tuple[str, str], list[Observed]] = {}
    by_name: dict[tuple[str, str], Observed] = {}
    left_alone: list[LeftAlone] = []
    for key in sorted(children):
        raw = bytes(children[key])
        try:
            found = _one(raw, key, balancer)
        except errors.ObjectError as error:
            found = LeftAlone("Service", key, str(error), _unchanged(key, raw, ours=True))
        if isinstance(found, Observed):
            by_name[found.key] = found
            by_service.setdefault((found.child.namespace, found.child.service_uid), []).append(
                found
            )
        elif found is not None:
            left_alone.append(found)
    return Memory(
        by_service={
            service: tuple(sorted(observed, key=_by_ordinal))
            for service, observed in by_service.items()
        },
        by_name=by_name,
        left_alone=tuple(left_alone),
        names=frozenset(map(_split, children)),
    )


def _read_one(raw: bytes, key: str, balancer: str) -> Observed | LeftAlone | None:
    """Return what a child is; None for a note, which is written anew at each sync."""
    manifest = hooks.read(kubernetes.SERVICE, raw)
    if not _is_ours(manifest):
        if pending.is_note(manifest):
            return None
        return LeftAlone(
            "Service",
            key,
            "it carries the label controller-uid of this balancer but is none of its children: "
            "remove the label",
            _unchanged(key, raw, ours=False),
            foreign=True,
        )
    metadata = manifest["metadata"]
    try:
        decoded = child.decode(manifest)
    except contract_errors.ContractError as error:
        decoded = _decode_last_applied(raw, error)
    ordinal = _ordinal(decoded)
    if decoded.balancer != balancer or ordinal is None:
        raise errors.ObjectError(
            f"it says of itself that it is child {decoded.name} of Service {decoded.service} and "
            f"balancer {decoded.balancer}: this balancer is {balancer}"
        )
    created = user.timestamp(metadata)
    status = manifest.get("status") or {}
    in_use = announcement.reported_in_use(status)
    is_own = in_use == decoded.address
    return Observed(
        child=decoded,
        held=model.Held(
            ordinal=ordinal,
            address=decoded.address,
            nodes=decoded.nodes,
            list_version=decoded.list_version,
            created=created,
            reported_in_use=is_own,
            ever_announced=announcement.ever_announced(status, address=decoded.address),
            lost_to_stranger=None if is_own else in_use,
            sharing_key=decoded.sharing.key if decoded.sharing is not None else None,
            ports=decoded.sharing.ports if decoded.sharing is not None else frozenset(),
        ),
        encoded=_encode(decoded),
        created=created,
        announcement=announcement.decode_status(manifest, address=decoded.address),
        terminating=bool(metadata.get("deletionTimestamp")),
    )


_one: Final = hooks.Remembered(_read_one, _REMEMBERED_BYTES)


def _encode(wanted: child.Child) -> msgspec.Raw:
    return msgspec.Raw(hooks.encode(child.encode(wanted)))


def _is_ours(manifest: kubernetes.Service) -> bool:
    """Whether a child has the marks that only Metacontroller may write, by admission policy."""
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    spec = manifest.get("spec") or {}
    return (
        labels.get(names.PROXY_NAME_LABEL) == names.PROXY_NAME
        and spec.get("loadBalancerClass") == names.CHILD_CLASS
    )


def _decode_last_applied(raw: bytes, reason: contract_errors.ContractError) -> child.Child:
    """Read a child that somebody edited from what we last wrote; answering that mends it."""
    applied = _last_applied(raw)
    if applied is None:
        raise errors.ObjectError(str(reason))
    try:
        return child.decode(applied)
    except contract_errors.ContractError:
        raise errors.ObjectError(str(reason)) from None


def _last_applied(raw: bytes) -> dict[str, Any] | None:
    try:
        metadata = json.loads(raw)["metadata"]
        applied = json.loads(metadata["annotations"][_LAST_APPLIED])
        identity = applied["metadata"]["namespace"], applied["metadata"]["name"]
        if identity != (metadata["namespace"], metadata["name"]):
            return None
    except (KeyError, RecursionError, TypeError, ValueError):
        return None
    return dict(applied)


def _unchanged(key: str, raw: bytes, *, ours: bool) -> dict[str, Any] | None:
    """Return the manifest that, answered, changes nothing of an object."""
    namespace, name = _split(key)
    if not name:
        return None
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    echo: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    applied = _last_applied(raw) if ours else None
    if applied is None:
        return echo
    for part in ("annotations", "labels"):
        values = applied["metadata"].get(part)
        if isinstance(values, dict) and all(isinstance(v, str) for v in values.values()):
            metadata[part] = dict(sorted(values.items()))
    spec = applied.get("spec")
    if isinstance(spec, dict):
        echo["spec"] = {field: spec[field] for field in sorted(_SPEC_FIELDS & spec.keys())}
    return echo


def _ordinal(observed: child.Child) -> int | None:
    match = _ORDINAL.search(observed.name, observed.name.rfind("-l2-"))
    if match is None:
        return None
    ordinal = int(match[1])
    return ordinal if child.child_name(observed.service, ordinal) == observed.name else None


def _by_ordinal(observed: Observed) -> int:
    return observed.ordinal


def _split(key: str) -> tuple[str, str]:
    namespace, _, name = key.rpartition("/")
    return namespace, name


def released(observed: Iterable[Observed], *, now: dt.datetime) -> bool:
    """Whether the time has passed after which a missing Service's children go."""
    return any(
        one.child.release_after is not None and one.child.release_after <= now for one in observed
    )
