# SPDX-License-Identifier: MIT
"""A balancer's sync request as one consistent picture, or a refusal that says what is missing."""

import dataclasses
import enum
from collections.abc import Mapping

from app import annotations, errors
from app.balancer import memory, spec
from app.models import hooks, kubernetes
from app.service import user
from contract import names


class Exclusion(enum.StrEnum):
    """Why a node that the selector matches is no member."""

    DELETED = "being deleted"
    LABELLED = f"labelled {names.EXCLUDE_LABEL}"


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """All that a sync decides from.

    `services` are those that are this balancer's to serve. `frozen` are namespace and name of
    those that cannot be judged now: they keep what they have. `present` are the UIDs, by namespace
    and name, of all Services that are there, ours or not. `older` are the older balancers.
    """

    balancer: spec.Balancer
    older: tuple[spec.Balancer, ...]
    nodes: tuple[str, ...]
    excluded: Mapping[str, Exclusion]
    services: tuple[user.UserService, ...]
    frozen: frozenset[tuple[str, str]]
    present: Mapping[tuple[str, str], str]
    terminating_namespaces: frozenset[str]
    children: memory.Memory
    left_alone: tuple[memory.LeftAlone, ...]


def read(request: hooks.BalancerSyncRequest, keys: annotations.Keys) -> Picture:
    """Read a request. Raises RefusedError naming what is missing or contradicts itself."""
    try:
        balancer = spec.read(request["parent"])
    except errors.ObjectError as error:
        raise errors.RefusedError(f"the parent L2LoadBalancer cannot be read: {error}") from None
    children, related = request["children"], request["related"]
    missing = {hooks.SERVICES, hooks.NODES, hooks.NAMESPACES, hooks.BALANCERS} - related.keys()
    if missing:
        raise errors.RefusedError(
            f"related has no {', '.join(sorted(missing))}: the customize hook of "
            "l2lb-balancer asks for it, so Metacontroller's picture is not complete yet; it will "
            "ask again"
        )
    older, left_balancers = _older(balancer, related[hooks.BALANCERS])
    nodes, excluded, left_nodes = _members(balancer, related[hooks.NODES])
    terminating, known_namespaces = _namespaces(related[hooks.NAMESPACES])
    services, frozen, present, left_services = _services(
        balancer.name, related[hooks.SERVICES], known_namespaces, keys
    )
    remembered = memory.read(children.get(hooks.SERVICES, {}), balancer=balancer.name)
    return Picture(
        balancer=balancer,
        older=older,
        nodes=nodes,
        excluded=excluded,
        services=services,
        frozen=frozen,
        present=present,
        terminating_namespaces=terminating,
        children=remembered,
        left_alone=(*left_balancers, *left_nodes, *left_services, *remembered.left_alone),
    )


def _older(
    balancer: spec.Balancer, balancers: Mapping[str, kubernetes.AnyBalancer]
) -> tuple[tuple[spec.Balancer, ...], list[memory.LeftAlone]]:
    if balancer.name not in balancers:
        raise errors.RefusedError(
            f"related {hooks.BALANCERS} does not hold {balancer.name}, the parent itself: "
            "Metacontroller's picture is not complete yet; it will ask again"
        )
    older: list[spec.Balancer] = []
    left_alone: list[memory.LeftAlone] = []
    for name in sorted(balancers.keys() - {balancer.name}):
        manifest = balancers[name]
        try:
            other = spec.read(hooks.whole(kubernetes.Balancer, manifest))
        except errors.ObjectError as error:
            left_alone.append(memory.LeftAlone(names.KIND, name, str(error)))
            continue
        if other.age_order < balancer.age_order:
            older.append(other)
    return tuple(older), left_alone


def _members(
    balancer: spec.Balancer, nodes: Mapping[str, kubernetes.AnyNamed]
) -> tuple[tuple[str, ...], dict[str, Exclusion], list[memory.LeftAlone]]:
    members: list[str] = []
    excluded: dict[str, Exclusion] = {}
    left_alone: list[memory.LeftAlone] = []
    for name in sorted(nodes):
        try:
            manifest = hooks.whole(kubernetes.Named, nodes[name])
        except errors.ObjectError as error:
            members.append(name)  # it was selected by its labels, so nobody has to move
            left_alone.append(memory.LeftAlone("Node", name, str(error)))
            continue
        metadata = manifest.get("metadata") or {}
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


def _namespaces(
    namespaces: Mapping[str, kubernetes.AnyNamed],
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the terminating namespaces and all."""
    terminating = {
        name
        for name, manifest in namespaces.items()
        if not isinstance(manifest, kubernetes.Broken)
        and (manifest.get("metadata") or {}).get("deletionTimestamp")
    }
    return frozenset(terminating), frozenset(namespaces)


def _services(
    balancer: str,
    services: Mapping[str, kubernetes.AnyService],
    namespaces: frozenset[str],
    keys: annotations.Keys,
) -> tuple[
    tuple[user.UserService, ...],
    frozenset[tuple[str, str]],
    dict[tuple[str, str], str],
    list[memory.LeftAlone],
]:
    ours: list[user.UserService] = []
    frozen: set[tuple[str, str]] = set()
    present: dict[tuple[str, str], str] = {}
    left_alone: list[memory.LeftAlone] = []
    for key in sorted(services):
        manifest = services[key]
        try:
            service = user.read(hooks.whole(kubernetes.Service, manifest), keys)
        except errors.ObjectError as error:
            left_alone.append(memory.LeftAlone("Service", key, str(error)))
            namespace, _, name = key.partition("/")
            frozen.add((namespace, name))
            continue
        present[service.namespace, service.name] = service.uid
        if service.terminating or not service.ours or service.balancer is None:
            continue
        # A Service can be seen before its namespace, which may then be terminating for all we know.
        if service.ask is None or service.namespace not in namespaces:
            frozen.add((service.namespace, service.name))
        elif service.ask.balancer == balancer:
            ours.append(service)
    return tuple(ours), frozenset(frozen), present, left_alone
