# SPDX-License-Identifier: MIT
"""The children that should exist, decided from one picture."""

import dataclasses
import datetime as dt
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from app import conditions, events, pending
from app.balancer import absences, memory, picture, placed, served, shortfalls, spec, status, wishes
from app.models import hooks
from app.placement import model
from app.service import user
from contract import child, pool

RELEASE_AFTER_S: Final = 5  # 'kubectl replace' wipes the mirrored label for well below a second

Verdicts = Mapping[user.UserService, conditions.Verdict]


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What a sync answers: children as JSON. `resync_after_s` is 0 when nothing is waited for."""

    children: list[msgspec.Raw]
    status: dict[str, Any]
    resync_after_s: float
    left_alone: tuple[memory.LeftAlone, ...]
    told: tuple[events.Event, ...] = ()


def decide(seen: picture.Picture, *, now: dt.datetime) -> Decision:
    """Return every child that should exist, and the balancer's status."""
    allowed, refused = _by_namespace(seen)
    keeping = [
        children
        for children in wishes.kept(seen)
        if not (children.missing and memory.released(children.observed, now=now))
    ]
    usable, overlaps = _usable_pool(seen)
    known = _known(seen)
    placement = _place(allowed, keeping, usable, seen, known)
    outcomes = {(outcome.namespace, outcome.uid): outcome for outcome in placement.outcomes}
    serving = [
        served.of(service, outcomes[service.namespace, service.uid], seen) for service in allowed
    ]
    absent = absences.of(serving, seen, now=now)
    serving = [one.telling_how_many() if absent.overdue_of(one) else one for one in serving]
    not_allowed = {
        service: shortfalls.not_allowed(service.namespace, seen.balancer) for service in refused
    }
    lacking = {
        one.service: verdict
        for one in serving
        if (verdict := shortfalls.verdict(one.outcome, seen, absent=absent.verdict(one)))
        is not None
    }
    noted = {
        one.service: lacking[one.service]
        for one in serving
        if one.outcome.shortfalls or absent.need_a_note(one, seen, now=now)
    }
    release = _release_moment(now)
    staying = [
        _unchanged(children, outcomes[children.namespace, children.uid], release)
        for children in keeping
    ]
    wanted = list(itertools.chain(*(one.children for one in serving), *staying))
    verdicts = lacking | not_allowed | {one: shortfalls.invalid(one) for one in seen.invalid}
    return Decision(
        children=_manifests(wanted, noted | not_allowed, seen.children),
        status=status.of(
            status.Facts(
                seen=seen,
                placement=placement,
                overlaps=overlaps,
                verdicts={str(service): verdict for service, verdict in verdicts.items()},
                services=len(allowed) + len(refused) + len(seen.frozen),
                awaited=absent.waiting,
                known=_known_from_now_on(known, wanted, seen),
            ),
            now=now,
        ),
        resync_after_s=_resync_after_s(absent, keeping, now=now),
        left_alone=seen.left_alone,
        told=tuple(served.replaced(serving, now=now)),
    )


def _place(
    allowed: Sequence[user.UserService],
    keeping: Sequence[wishes.Kept],
    usable: pool.Pool,
    seen: picture.Picture,
    known: frozenset[str],
) -> model.Placement:
    """Place what the Services ask for beside what children keep."""
    asked = [
        wishes.of_service(
            service, seen.children.of_service(service.namespace, service.uid), seen.balancer
        )
        for service in allowed
    ]
    asked.extend(map(wishes.of_kept, keeping))
    balancer = model.Balancer(
        uid=seen.balancer.uid,
        pool=usable,
        nodes=seen.nodes,
        quarantined=seen.balancer.quarantined,
        known=known,
        planned={} if known == set(seen.nodes) else _planned(seen.balancer),
        leaving=wishes.leaving(seen, allowed, keeping),
    )
    return placed.of(balancer, asked)


def _known(seen: picture.Picture) -> frozenset[str]:
    """Return who was a member when the lists that exist were last seen to be those answered.

    Where the status does not tell, the lists do; where it could not name all, nobody is new,
    unless there are more of them now.
    """
    balancer = seen.balancer
    if not balancer.known:
        return _listed(seen)
    if balancer.node_count <= status.MAX_NODES:
        return frozenset(balancer.known)
    if len(seen.nodes) <= balancer.node_count:
        return frozenset(seen.nodes)
    return frozenset(balancer.known) | _listed(seen)


def _planned(balancer: spec.Balancer) -> Mapping[str, int]:
    """Return how many addresses each member was to prefer; empty where not all are named."""
    return balancer.known if balancer.node_count <= status.MAX_NODES else {}


def _known_from_now_on(
    known: frozenset[str], wanted: Iterable[child.Child], seen: picture.Picture
) -> frozenset[str]:
    """Return what the next sync is to know, since Metacontroller may write children only in part.

    It passes over one that somebody else has written to meanwhile. Children that are absent, or on
    their way out, have no list to come true.
    """
    members = frozenset(seen.nodes)
    for one in wanted:
        old = seen.children.by_name.get((one.namespace, one.name))
        if (
            old is not None
            and (old.child.nodes, old.child.list_version) != (one.nodes, one.list_version)
            and not old.terminating
            and not seen.children.blocks(one)
        ):
            return known | (_listed(seen) - members)
    return members


def _listed(seen: picture.Picture) -> frozenset[str]:
    """Return the nodes that lists name."""
    observed = itertools.chain.from_iterable(seen.children.by_service.values())
    return frozenset().union(*{one.child.nodes for one in observed})


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


def _usable_pool(seen: picture.Picture) -> tuple[pool.Pool, dict[str, pool.Pool]]:
    """Return what the balancer may give, and what older ones own of it, by their names.

    While the pool cannot be read, or an older balancer's, which may own any of it, it is what
    children have: everybody keeps theirs, save what an older balancer is known to own, and whoever
    waits gets what one of them gives up at most.
    """
    wanted = seen.balancer.addresses
    if wanted is None:
        wanted = _held(seen)
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
    absent: absences.Absences, keeping: Sequence[wishes.Kept], *, now: dt.datetime
) -> float:
    waits = [absent.look_again_s(now=now)]
    for children in keeping:
        if children.missing:
            moments = [o.child.release_after for o in children.observed if o.child.release_after]
            left = [(moment - now).total_seconds() for moment in moments]
            waits.append(max(1.0, math.ceil(min(left, default=RELEASE_AFTER_S + 1))))
    soonest = min(waits)
    return soonest if math.isfinite(soonest) else 0.0


def _manifests(
    wanted: Iterable[child.Child], noted: Verdicts, before: memory.Memory
) -> list[msgspec.Raw]:
    """Return all children, notes among them, in order of their namespaces and names.

    What is to be a child of ours mends one that cannot be read, and gives way to a stranger. It
    waits until Metacontroller has deleted what a Service of the same name has left behind.
    """
    by_name = {
        (one.namespace, one.name): before.encoded(one) for one in wanted if not before.blocks(one)
    }
    for service, why in noted.items():
        by_name[service.namespace, pending.name(service.name)] = _raw(_note(service, why))
    for one in before.left_alone:
        if one.manifest is None:
            continue
        name = _identity(one.manifest)
        if one.foreign or name not in by_name:
            by_name[name] = _raw(one.manifest)
    return [by_name[name] for name in sorted(by_name)]


def _note(service: user.UserService, verdict: conditions.Verdict) -> dict[str, Any]:
    return pending.encode(
        verdict, namespace=service.namespace, service=service.name, service_uid=service.uid
    )


def _raw(manifest: Mapping[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(hooks.encode(manifest))


def _identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    return manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
