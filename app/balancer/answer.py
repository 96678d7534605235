# SPDX-License-Identifier: MIT
"""The children that should exist, decided from one picture."""

import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from app import conditions, events, pending
from app.balancer import awaited, memory, picture, placed, shortfalls, status, wishes
from app.models import hooks
from app.placement import model
from app.service import user
from contract import child, pool
from contract.names import AnnouncedReason

RELEASE_AFTER_S: Final = 5  # 'kubectl replace' wipes the mirrored label for well below a second


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What a sync answers: children as JSON. `resync_after_s` is 0 when nothing is waited for."""

    children: list[msgspec.Raw]
    status: dict[str, Any]
    resync_after_s: float
    left_alone: tuple[memory.LeftAlone, ...]
    told: tuple[events.Event, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class _Served:
    """A Service of the balancer, what it has, and what it gets."""

    service: user.UserService
    observed: tuple[memory.Observed, ...]
    outcome: model.Outcome
    children: tuple[child.Child, ...]


def decide(seen: picture.Picture, *, now: dt.datetime) -> Decision:
    """Return every child that should exist, and the balancer's status."""
    allowed, refused = _by_namespace(seen)
    keeping = [
        children
        for children in wishes.kept(seen)
        if not (children.missing and memory.released(children.observed, now=now))
    ]
    shared = wishes.sharing(allowed, seen.children, keeping)
    asked = [
        wishes.of_service(service, _observed(service, seen), seen.balancer) for service in allowed
    ]
    asked.extend(wishes.of_kept(children, shared=shared) for children in keeping)
    usable, overlaps = _usable_pool(seen)
    placement = placed.of(
        model.Balancer(
            uid=seen.balancer.uid,
            pool=usable,
            nodes=seen.nodes,
            quarantined=seen.balancer.quarantined,
            known=seen.balancer.known,
            leaving=tuple([wishes.of_leaving(service) for service in seen.leaving]),
        ),
        asked,
    )
    outcomes = {(outcome.namespace, outcome.uid): outcome for outcome in placement.outcomes}
    served = [
        _serve(service, outcomes[service.namespace, service.uid], seen) for service in allowed
    ]
    # A young Service's children are not there yet, and its age says since when.
    young = {
        key: one.service.created
        for one in served
        if now.timestamp() - one.service.created < awaited.GRACE_S
        for key in _absent(one, seen)
    }
    waiting = awaited.of(
        (key for one in served for key in _absent(one, seen) if key not in young),
        before=seen.awaited,
        now=now,
    )
    overdue = {
        key: since for key, since in waiting.items() if now.timestamp() - since >= awaited.GRACE_S
    }
    served = [_telling(one) if _overdue(one, overdue) else one for one in served]
    not_allowed = {
        service: shortfalls.not_allowed(service.namespace, seen.balancer) for service in refused
    }
    lacking = {
        one.service: verdict
        for one in served
        if (verdict := shortfalls.verdict(one.outcome, seen, absent=_missing(one, overdue)))
        is not None
    }
    verdicts = lacking | not_allowed | {one: shortfalls.invalid(one) for one in seen.invalid}
    release = _release_moment(now)
    unchanged = itertools.chain.from_iterable(
        _unchanged(children, outcomes[children.namespace, children.uid], release)
        for children in keeping
    )
    planned = itertools.chain.from_iterable(one.children for one in served)
    manifests = {
        (wanted.namespace, wanted.name): seen.children.encoded(wanted)
        for wanted in itertools.chain(planned, unchanged)
    }
    noted = {
        one.service: lacking[one.service]
        for one in served
        if _is_noted(one, overdue, seen, now=now)
    }
    for service, why in (noted | not_allowed).items():
        manifests[service.namespace, pending.name(service.name)] = _raw(_note(service, why))
    return Decision(
        children=_with_left_alone(manifests, seen.children.left_alone),
        status=status.of(
            status.Facts(
                seen=seen,
                placement=placement,
                overlaps=overlaps,
                verdicts={str(service): verdict for service, verdict in verdicts.items()},
                services=len(allowed) + len(refused) + len(seen.frozen),
                awaited=waiting,
            ),
            now=now,
        ),
        resync_after_s=_resync_after_s({**waiting, **young}, keeping, now=now),
        left_alone=seen.left_alone,
        told=tuple(_replaced(served, now=now)),
    )


def _by_namespace(
    seen: picture.Picture,
) -> tuple[list[user.UserService], list[user.UserService]]:
    """Return the Services to serve, and those whose namespace may not use the balancer."""
    allowed: list[user.UserService] = []
    refused: list[user.UserService] = []
    for service in seen.services:
        if service.namespace in seen.terminating_namespaces:
            continue  # nothing can be created there, and one failure would fail the whole sync
        namespaces = seen.balancer.namespaces
        fits = namespaces is None or service.namespace in namespaces
        (allowed if fits else refused).append(service)
    return allowed, refused


def _observed(service: user.UserService, seen: picture.Picture) -> tuple[memory.Observed, ...]:
    return seen.children.by_service.get((service.namespace, service.uid), ())


def _usable_pool(seen: picture.Picture) -> tuple[pool.Pool, dict[str, pool.Pool]]:
    """Return what the balancer may give, and what older ones own of it, by their names.

    While the pool cannot be read, or an older balancer's, which may own any of it, everybody keeps
    what they have and nobody gets anything.
    """
    wanted = seen.balancer.addresses
    if wanted is None:
        return _held(seen), {}
    overlaps: dict[str, pool.Pool] = {}
    usable = wanted
    for name, others in seen.older.items():
        overlap = usable & others
        if overlap:
            overlaps[name] = overlap
            usable = usable - others
    return usable & _held(seen) if seen.unknown else usable, overlaps


def _held(seen: picture.Picture) -> pool.Pool:
    """Return exactly the addresses that children have."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for one in itertools.chain.from_iterable(seen.children.by_service.values()):
        address = one.child.address
        spans.setdefault(address.version, []).append((int(address), int(address)))
    return pool.Pool(spans)


def _serve(service: user.UserService, outcome: model.Outcome, seen: picture.Picture) -> _Served:
    observed = _observed(service, seen)
    before = {one.ordinal: one.child for one in observed}
    balancer = seen.balancer
    children = tuple(
        child.Child(
            namespace=service.namespace,
            name=child.child_name(service.name, assigned.ordinal),
            service=service.name,
            service_uid=service.uid,
            balancer=balancer.name,
            address=assigned.address,
            nodes=assigned.nodes,
            list_version=assigned.list_version,
            ports=service.ports,
            planned=_planned(before.get(assigned.ordinal), len(outcome.assigned)),
            health_check_port=service.health_check_port,
            interfaces=balancer.interfaces,
            failback_delay_s=balancer.failback_delay_s,
        )
        for assigned in outcome.assigned
    )
    return _Served(service, observed, outcome, children)


def _note(service: user.UserService, verdict: conditions.Verdict) -> dict[str, Any]:
    return pending.encode(
        verdict, namespace=service.namespace, service=service.name, service_uid=service.uid
    )


def _absent(one: _Served, seen: picture.Picture) -> list[str]:
    """Return the children that are to be and are not there, as `namespace/name`."""
    return [
        f"{wanted.namespace}/{wanted.name}"
        for wanted in one.children
        if (wanted.namespace, wanted.name) not in seen.children.names
    ]


def _overdue(one: _Served, overdue: awaited.Awaited) -> list[str]:
    """Return which of a Service's children should have been there by now, by name."""
    if not overdue:
        return []
    return [c.name for c in one.children if f"{c.namespace}/{c.name}" in overdue]


def _telling(one: _Served) -> _Served:
    """Let the children that are there say how many there should be."""
    return dataclasses.replace(
        one,
        children=tuple(dataclasses.replace(c, planned=len(one.children)) for c in one.children),
    )


def _missing(one: _Served, overdue: awaited.Awaited) -> conditions.Verdict | None:
    missing = _overdue(one, overdue)
    if not missing:
        return None
    return pending.absent(
        one.service.namespace,
        missing=len(missing),
        planned=len(one.children),
        such_as=missing[0],
    )


def _is_noted(
    one: _Served, overdue: awaited.Awaited, seen: picture.Picture, *, now: dt.datetime
) -> bool:
    """Whether only a note can tell a Service what it lacks: a child that is there tells as well."""
    if one.outcome.shortfalls:
        return True
    missing = _overdue(one, overdue)
    if not missing or len(missing) < len(one.children):
        return False
    since = min(overdue[f"{one.service.namespace}/{name}"] for name in missing)
    there = (one.service.namespace, pending.name(one.service.name)) in seen.children.names
    return there or now.timestamp() - since < awaited.NOTE_WITHIN_S


def _planned(before: child.Child | None, planned: int) -> int:
    """Return the number of siblings that a child is to name.

    The highest among the siblings counts, so that one more address rewrites no older child.
    """
    return before.planned if before is not None and before.planned < planned else planned


def _unchanged(
    children: wishes.Kept, outcome: model.Outcome, release: dt.datetime
) -> list[child.Child]:
    """Return the children as they were; only their lists follow the nodes.

    One whose address the balancer no longer owns goes, as it would with a Service that is there.
    """
    before = {observed.ordinal: observed.child for observed in children.observed}
    return [
        dataclasses.replace(
            old,
            nodes=assigned.nodes,
            list_version=assigned.list_version,
            release_after=(old.release_after or release) if children.missing else None,
        )
        for assigned in outcome.assigned
        if (old := before.get(assigned.ordinal)) is not None and old.address == assigned.address
    ]


def _release_moment(now: dt.datetime) -> dt.datetime:
    whole = now.astimezone(dt.UTC).replace(microsecond=0)
    return whole + dt.timedelta(seconds=RELEASE_AFTER_S + 1)


def _resync_after_s(
    waiting: awaited.Awaited, keeping: Sequence[wishes.Kept], *, now: dt.datetime
) -> float:
    waits = [awaited.look_again_s(waiting, now=now)]
    for children in keeping:
        if children.missing:
            moments = [o.child.release_after for o in children.observed if o.child.release_after]
            left = [(moment - now).total_seconds() for moment in moments]
            waits.append(max(1.0, math.ceil(min(left, default=RELEASE_AFTER_S + 1))))
    soonest = min(waits)
    return soonest if math.isfinite(soonest) else 0.0


def _with_left_alone(
    manifests: Mapping[tuple[str, str], msgspec.Raw], left_alone: Iterable[memory.LeftAlone]
) -> list[msgspec.Raw]:
    """Return all children in order of their namespaces and names.

    What is to be a child of ours mends one that cannot be read, and gives way to a stranger.
    """
    by_name = dict(manifests)
    for one in left_alone:
        if one.manifest is None:
            continue
        name = _identity(one.manifest)
        if one.foreign or name not in by_name:
            by_name[name] = _raw(one.manifest)
    return [by_name[name] for name in sorted(by_name)]


def _replaced(served: Iterable[_Served], *, now: dt.datetime) -> Iterator[events.Event]:
    """Yield what is to be told of addresses that a stranger uses."""
    for one in served:
        before = {observed.ordinal: observed for observed in one.observed}
        for assigned in one.outcome.assigned:
            old = before.get(assigned.ordinal)
            if old is None or old.announcement is None or old.child.address == assigned.address:
                continue
            if old.announcement.reason is AnnouncedReason.ADDRESS_IN_USE:
                yield events.Event(
                    api_version="v1",
                    kind="Service",
                    namespace=one.service.namespace,
                    name=one.service.name,
                    uid=one.service.uid,
                    warning=True,
                    reason=AnnouncedReason.ADDRESS_IN_USE,
                    note=(
                        f"{old.announcement.message}, a stranger; the Service gets "
                        f"{assigned.address} instead: find that machine, or take the address out "
                        "of spec.addressPool"
                    ),
                    action="ReplaceAddress",
                    moment=now,
                )


def _raw(manifest: Mapping[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(hooks.encode(manifest))


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
