# SPDX-License-Identifier: MIT
"""A balancer's sync request as one consistent picture, or a refusal that says what is missing."""

import contextlib
import dataclasses
import enum
from collections.abc import Mapping
from typing import Final

from app import annotations, errors
from app.balancer import awaited, memory, spec
from app.models import hooks, kubernetes
from app.service import user
from contract import names, pool

# What is remembered of objects, in bytes of their JSON: a Service has about 4 KB, a Node 20 KB, a
# Namespace 1 KB. More than these cost time, not memory.
_SERVICES_BYTES: Final = 12 << 20
_NODES_BYTES: Final = 8 << 20
_NAMESPACES_BYTES: Final = 2 << 20


class Exclusion(enum.StrEnum):
    """Why a node that the selector matches is no member."""

    DELETED = "being deleted"
    LABELLED = f"labelled {names.EXCLUDE_LABEL}"


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """All that a sync decides from.

    `services` are those that are this balancer's to serve; `leaving` are related, are not, and
    still show addresses. `frozen` are namespace and name of those that cannot be judged now: they
    keep what they have; of `invalid` that is their own annotations' fault. `present` are the UIDs,
    by namespace and name, of all Services that are there, ours or not. `older` are the pools of the
    older balancers, by name; `unknown` says why of those that cannot be read. `awaited` are the
    children that were so at the last sync.
    """

    balancer: spec.Balancer
    older: Mapping[str, pool.Pool]
    unknown: Mapping[str, str]
    nodes: tuple[str, ...]
    excluded: Mapping[str, Exclusion]
    services: tuple[user.UserService, ...]
    leaving: tuple[user.UserService, ...]
    frozen: frozenset[tuple[str, str]]
    invalid: tuple[user.UserService, ...]
    present: Mapping[tuple[str, str], str]
    terminating_namespaces: frozenset[str]
    children: memory.Memory
    awaited: awaited.Awaited
    left_alone: tuple[memory.LeftAlone, ...]


def read(request: hooks.CompositeSync, keys: annotations.Keys) -> Picture:
    """Read a request.

    Raises MalformedRequestError, and RefusedError naming what is missing or contradicts itself.
    """
    try:
        parent = hooks.needed(kubernetes.BALANCER, request.parent, "parent")
        balancer = spec.read(parent)
    except errors.ObjectError as error:
        raise errors.RefusedError(f"the parent L2LoadBalancer cannot be read: {error}") from None
    related = request.related
    missing = {hooks.SERVICES, hooks.NODES, hooks.NAMESPACES, hooks.BALANCERS} - related.keys()
    if missing:
        raise errors.RefusedError(
            f"related has no {', '.join(sorted(missing))}: the customize hook of "
            "l2lb-balancer asks for it, so Metacontroller's picture is not complete yet; it will "
            "ask again"
        )
    older, unknown, left_balancers = _older(balancer, related[hooks.BALANCERS])
    nodes, excluded, left_nodes = _members(balancer, related[hooks.NODES])
    terminating, known_namespaces = _namespaces(related[hooks.NAMESPACES])
    services = _services(balancer.name, related[hooks.SERVICES], known_namespaces, keys)
    remembered = memory.read(request.children.get(hooks.SERVICES, {}), balancer=balancer.name)
    return Picture(
        balancer=balancer,
        older=older,
        unknown=unknown,
        nodes=nodes,
        excluded=excluded,
        services=tuple(services.ours),
        leaving=tuple(services.leaving),
        frozen=frozenset(services.frozen),
        invalid=tuple(services.invalid),
        present=services.present,
        terminating_namespaces=terminating,
        children=remembered,
        awaited=awaited.read(parent.get("status") or {}),
        left_alone=(*left_balancers, *left_nodes, *services.left_alone, *remembered.left_alone),
    )


def _older(
    balancer: spec.Balancer, balancers: hooks.Objects
) -> tuple[dict[str, pool.Pool], dict[str, str], list[memory.LeftAlone]]:
    if balancer.name not in balancers:
        raise errors.RefusedError(
            f"related {hooks.BALANCERS} does not hold {balancer.name}, the parent itself: "
            "Metacontroller's picture is not complete yet; it will ask again"
        )
    older: dict[str, pool.Pool] = {}
    unknown: dict[str, str] = {}
    left_alone: list[memory.LeftAlone] = []
    for name in sorted(balancers.keys() - {balancer.name}):
        raw = bytes(balancers[name])
        try:
            other = spec.read(hooks.read(kubernetes.BALANCER, raw))
        except errors.ObjectError as error:
            left_alone.append(memory.LeftAlone(names.KIND, name, str(error)))
            if _may_be_older(raw, balancer):
                unknown[name] = str(error)
            continue
        if other.age_order >= balancer.age_order:
            continue
        if other.addresses is None:
            unknown[name] = other.pool_error
        else:
            older[name] = other.addresses
    return older, unknown, left_alone


def _may_be_older(raw: bytes, balancer: spec.Balancer) -> bool:
    try:
        metadata = _metadata(raw)
        age_order = user.timestamp(metadata), metadata.get("name", ""), metadata.get("uid", "")
    except errors.ObjectError:
        return True
    return age_order < balancer.age_order


def _members(
    balancer: spec.Balancer, nodes: hooks.Objects
) -> tuple[tuple[str, ...], dict[str, Exclusion], list[memory.LeftAlone]]:
    members: list[str] = []
    excluded: dict[str, Exclusion] = {}
    left_alone: list[memory.LeftAlone] = []
    for name in sorted(nodes):
        try:
            metadata = _node(bytes(nodes[name]))
        except errors.ObjectError as error:
            members.append(name)  # it was selected by its labels, so nobody has to move
            left_alone.append(memory.LeftAlone("Node", name, str(error)))
            continue
        labels = metadata.get("labels") or {}
        if not balancer.node_selector.items() <= labels.items():
            continue
        if metadata.get("deletionTimestamp"):
            excluded[name] = Exclusion.DELETED
        elif names.EXCLUDE_LABEL in labels and not balancer.ignore_exclude_label:
            excluded[name] = Exclusion.LABELLED
        else:
            members.append(name)
    return tuple(members), excluded, left_alone


def _namespaces(namespaces: hooks.Objects) -> tuple[frozenset[str], frozenset[str]]:
    """Return the terminating namespaces and all."""
    terminating = set()
    for name, raw in namespaces.items():
        with contextlib.suppress(errors.ObjectError):
            if _namespace(bytes(raw)).get("deletionTimestamp"):
                terminating.add(name)
    return frozenset(terminating), frozenset(namespaces)


def _metadata(raw: bytes) -> kubernetes.Metadata:
    return hooks.read(kubernetes.NAMED, raw).get("metadata") or {}


_node: Final = hooks.Remembered(_metadata, _NODES_BYTES)
_namespace: Final = hooks.Remembered(_metadata, _NAMESPACES_BYTES)


@dataclasses.dataclass(frozen=True, slots=True)
class _Services:
    """The related Services, sorted as `Picture` says."""

    ours: list[user.UserService] = dataclasses.field(default_factory=list)
    leaving: list[user.UserService] = dataclasses.field(default_factory=list)
    frozen: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    invalid: list[user.UserService] = dataclasses.field(default_factory=list)
    present: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    left_alone: list[memory.LeftAlone] = dataclasses.field(default_factory=list)


def _services(
    balancer: str,
    services: hooks.Objects,
    namespaces: frozenset[str],
    keys: annotations.Keys,
) -> _Services:
    found = _Services()
    for key in sorted(services):
        try:
            service = _service(bytes(services[key]), keys)
        except errors.ObjectError as error:
            found.left_alone.append(memory.LeftAlone("Service", key, str(error)))
            namespace, _, name = key.partition("/")
            found.frozen.add((namespace, name))
            continue
        found.present[service.namespace, service.name] = service.uid
        if service.ours and service.balancer is not None and not service.terminating:
            # It can be seen before its namespace, which may then be terminating for all we know.
            if service.ask is None or service.namespace not in namespaces:
                found.frozen.add((service.namespace, service.name))
                if service.ask is None:
                    found.invalid.append(service)
            elif service.ask.balancer == balancer:
                found.ours.append(service)
                continue
        if service.listed:
            found.leaving.append(service)
    return found


def _read_service(raw: bytes, keys: annotations.Keys) -> user.UserService:
    return user.read(hooks.read(kubernetes.SERVICE, raw), keys)


_service: Final = hooks.Remembered(_read_service, _SERVICES_BYTES)
