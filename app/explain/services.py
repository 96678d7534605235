# SPDX-License-Identifier: MIT
"""One Service: what it asks for, what it has, and what is to be done where these differ."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from app import annotations, conditions
from app.balancer import shortfalls, wishes
from app.conditions import Verdict
from app.explain import addresses, model, moments, nodes, reading
from app.placement import model as placement
from contract import names, pool
from contract.names import AssignedReason

UNANSWERED: Final = "Unanswered"  # the reason where no hook has said anything yet
_UNANSWERED: Final = (
    "within seconds a hook should have answered: see whether Metacontroller runs, whether its log "
    "tells of errors, and whether the webhook's Pods are ready"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a Service is judged by.

    `members` are its balancer's nodes, by the selector; it and `nodes` are None where nodes may
    not be seen. `sharers` are the Services that share an address with it, and `apart` those with
    its sharing key that may not.
    """

    balancer: reading.Balancer | None
    members: tuple[str, ...] | None
    nodes: Mapping[str, nodes.Node] | None
    children: Sequence[reading.Child]
    note: Verdict | None
    moves: tuple[model.Move, ...]
    sharers: Mapping[pool.Address, tuple[str, ...]]
    apart: tuple[str, ...]
    keys: annotations.Keys


@dataclasses.dataclass(frozen=True, slots=True)
class _Case:
    """A Service with what follows from its surroundings; `has` are the addresses that stay."""

    service: reading.Service
    around: Surroundings
    addresses: tuple[model.AddressView, ...]
    has: tuple[model.AddressView, ...]
    wanted: int | None
    verdict: Verdict | None


def view(service: reading.Service, around: Surroundings) -> model.ServiceView:
    """Return what is known of a Service."""
    user, balancer = service.user, around.balancer
    ignores = balancer is not None and balancer.spec.ignore_exclude_label
    shown = tuple(
        addresses.view(one, known=around.nodes, moves=around.moves, ignores_exclude_label=ignores)
        for one in around.children
    )
    wanted = _wanted(service, around)
    has = tuple(one for one in shown if one.state is not model.AddressState.RELEASING)
    verdict = _verdict(service, around, len(has), wanted)
    case = _Case(service, around, shown, has, wanted, verdict)
    state = _state(case)
    asked, asked_by = _asked(service, around)
    return model.ServiceView(
        namespace=user.namespace,
        name=user.name,
        balancer=user.balancer or "",
        state=state,
        asked=asked,
        asked_by=asked_by,
        wanted=wanted,
        families=user.versions,
        requested=user.ask.addresses if user.ask is not None else (),
        sharing_key=user.ask.sharing_key if user.ask is not None else None,
        local=user.health_check_port is not None,
        addresses=shown,
        listed=user.listed,
        reason=case.verdict.reason if case.verdict is not None else AssignedReason.ASSIGNED,
        summary=_summary(case, state),
        sentences=tuple(_sentences(case, state)),
        conditions=tuple(map(condition, service.conditions)),
        moves=around.moves,
    )


def condition(standing: conditions.Condition) -> model.Condition:
    """Return a condition as it is shown."""
    return model.Condition(
        kind=str(standing.get("type", "")),
        status=str(standing.get("status", "")),
        reason=str(standing.get("reason", "")),
        message=str(standing.get("message", "")),
        since=moments.read(standing.get("lastTransitionTime")),
    )


def _asked(service: reading.Service, around: Surroundings) -> tuple[str, str]:
    ask, balancer = service.user.ask, around.balancer
    if ask is not None and ask.ip_count is not None:
        return count_text(ask.ip_count), f"annotation {service.ip_count_key}"
    if ask is not None and balancer is not None:
        return count_text(balancer.spec.ip_count), f"ipCount of balancer {balancer.spec.name}"
    return "", ""


def count_text(count: placement.Count) -> str:
    """Return a count as it is written."""
    return names.AUTO if count is placement.AUTO else str(count)


def _wanted(service: reading.Service, around: Surroundings) -> int | None:
    """Return how many addresses the Service is to have, over its families."""
    if around.balancer is None or service.user.ask is None or not service.user.ours:
        return None
    wish = wishes.of_service(service.user, (), around.balancer.spec)
    total = 0
    for version in pool.VERSIONS:
        count = wish.count(version)
        if count is placement.AUTO:
            if around.members is None:
                return None
            held = sum(one.child.address.version == version for one in around.children)
            total += max(held, len(around.members))
        elif isinstance(count, int):
            total += count
    return total


def _verdict(
    service: reading.Service, around: Surroundings, has: int, wanted: int | None
) -> Verdict | None:
    """Return why the Service has less than it asks for; None when it has all.

    What can be told from the objects themselves is told from them, as a hook may not have
    answered yet; then comes what the hooks left in writing.
    """
    user, balancer = service.user, around.balancer
    if not user.ours or user.balancer is None or user.terminating:
        return None
    if user.invalid:
        return _no(AssignedReason.INVALID_ANNOTATION, user.invalid)
    if balancer is None:
        return _no(
            AssignedReason.BALANCER_NOT_FOUND,
            f"there is no L2LoadBalancer {user.balancer}: create it, or correct the annotation to "
            "one that 'kubectl get l2lb' lists",
        )
    allowed = balancer.spec.namespaces
    if allowed is not None and user.namespace not in allowed:
        return shortfalls.not_allowed(user.namespace, balancer.spec)
    if around.note is not None:
        return around.note
    ours = conditions.find(service.conditions, names.ASSIGNED_CONDITION)
    complete = wanted is None or has >= wanted
    if ours is not None and ours.get("status") == "False":
        stale = complete and ours.get("reason") == AssignedReason.POOL_EXHAUSTED
        if not stale:
            return _no(str(ours.get("reason", "")), str(ours.get("message", "")))
    if complete and ours is not None:
        return None
    if not service.labelled:
        what = f"the hook for Services has not yet put the label {names.SERVICE_BALANCER} on it"
    elif not balancer.answered:
        what = f"the hook for balancers has not yet answered for {balancer.spec.name}"
    elif complete:
        what = "the hook for Services has not yet written its status"
    else:
        what = f"it has {has} of {wanted} addresses and no hook has said why"
    return _no(UNANSWERED, f"{what}; {_UNANSWERED}")


def _no(reason: str, message: str) -> Verdict:
    return Verdict(holds=False, reason=reason, message=message)


def _state(case: _Case) -> model.ServiceState:
    user, has = case.service.user, case.has
    if user.terminating:
        return model.ServiceState.LEAVING
    if not user.ours or user.balancer is None:
        return model.ServiceState.NOT_OURS
    if not has:
        return model.ServiceState.PENDING
    if case.wanted is not None and len(has) < case.wanted:
        return model.ServiceState.PARTIAL
    if case.verdict is not None or any(one.state.level > model.Level.NOTICE for one in has):
        return model.ServiceState.TROUBLED
    return model.ServiceState.SERVED


def _summary(case: _Case, state: model.ServiceState) -> str:
    if state is model.ServiceState.LEAVING:
        return "it is being deleted"
    if state is model.ServiceState.NOT_OURS:
        return _not_ours(case)
    if case.verdict is not None:
        return case.verdict.message
    worst = max(case.has, key=lambda one: one.state.level)
    if worst.state.level > model.Level.GOOD:
        return f"{worst.address}: {worst.why}"
    return f"all {len(case.has)} addresses are announced by the nodes that are preferred for them"


def _not_ours(case: _Case) -> str:
    user = case.service.user
    if user.balancer is None:
        return (
            f"it carries no annotation {case.around.keys.balancer[0]} and is none of ours: write "
            "the name of a balancer there"
        )
    if not user.load_balancer:
        return "its type is not LoadBalancer, so it gets no address: set spec.type to LoadBalancer"
    return (
        f"its loadBalancerClass is {user.class_name}, so it is none of ours whatever its "
        f"annotations say: the class cannot be changed, create the Service anew with "
        f"{names.SERVICE_CLASS}"
    )


def _sentences(case: _Case, state: model.ServiceState) -> Iterable[str]:
    if state in {model.ServiceState.LEAVING, model.ServiceState.NOT_OURS}:
        yield _capital(_summary(case, state))
        return
    yield from _asks(case)
    if case.verdict is not None:
        yield f"What is missing ({case.verdict.reason}): {case.verdict.message}."
    yield from _sources(case)
    yield from _apart(case)
    for one in case.addresses:
        yield f"{one.address}: {one.why}."
    yield from _around(case)
    yield from _status(case)


def _asks(case: _Case) -> Iterable[str]:
    user = case.service.user
    asked, by = _asked(case.service, case.around)
    if not asked:
        yield f"It names balancer {user.balancer}."
        return
    families = " and ".join(f"IPv{version}" for version in user.versions)
    members = case.around.members
    each = f"of the {len(members)} nodes" if members is not None else "node"
    meaning = (
        f"one {families} address for each {each} of balancer {user.balancer}"
        if asked == names.AUTO
        else f"{asked} {families} addresses of balancer {user.balancer}"
    )
    has = len(case.has) if case.wanted is None else f"{len(case.has)} of {case.wanted}"
    yield f"It asks for {meaning} ({by}: {asked}) and has {has}."


def _sources(case: _Case) -> Iterable[str]:
    """Say where the addresses come from, as far as the objects still tell."""
    if not case.has:
        return
    ask = case.service.user.ask
    named = {one.address for one in case.has} & set(ask.addresses if ask is not None else ())
    if named:
        listed = ", ".join(str(one.address) for one in case.has if one.address in named)
        yield f"{listed}: requested by the annotation {case.service.addresses_key}."
    if len(named) < len(case.has):
        yield (
            "What was not requested was given when it was the lowest free address, or was in the "
            "Service's status already; an address that a Service has, it keeps."
        )
    for one in case.has:
        if sharers := case.around.sharers.get(one.address, ()):
            key = ask.sharing_key if ask is not None else None
            yield f"{one.address} is shared with {', '.join(sharers)} (sharing key {key})."


def _apart(case: _Case) -> Iterable[str]:
    user, apart = case.service.user, case.around.apart
    if user.ask is not None and apart:
        yield (
            f"It shares no address with {', '.join(apart)} under sharing key "
            f"{user.ask.sharing_key}: Services share if externalTrafficPolicy is Cluster for all "
            "of them, or Local and the selector the same."
        )


def _around(case: _Case) -> Iterable[str]:
    user, balancer = case.service.user, case.around.balancer
    if user.health_check_port is not None:
        yield (
            "externalTrafficPolicy is Local: only nodes with a serving endpoint of the Service "
            f"announce its addresses (they ask port {user.health_check_port} on themselves)."
        )
    if balancer is None:
        return
    ready = conditions.find(balancer.spec.conditions, "Ready")
    if ready is not None and ready.get("status") == "False":
        yield f"Balancer {balancer.spec.name} is not ready: {ready.get('message', '')}."


def _status(case: _Case) -> Iterable[str]:
    user = case.service.user
    planned = {one.address for one in case.has}
    if case.verdict is None and planned and set(user.listed) != planned:
        listed = ", ".join(map(str, user.listed)) or "no address"
        yield f"Its status lists {listed}, which is not what it has: {_UNANSWERED}."


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
