# SPDX-License-Identifier: MIT
"""The balancer's status: how full, over which nodes, and what is wrong and would be right."""

import dataclasses
import datetime as dt
import enum
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from app import conditions
from app.balancer import awaited, picture, shortfalls
from app.conditions import Verdict
from app.placement import model
from contract import pool

MAX_COUNT: Final = 2**31 - 1  # the schema's int32; one IPv6 subnet overflows even 64 bits
MAX_NODES: Final = 100
_FULL: Final = (model.PoolExhausted, model.OneFamilyOnly)


class Reason(enum.StrEnum):
    """The words of the balancer's conditions."""

    READY = "Ready"
    VALID = "Valid"
    AVAILABLE = "Available"
    INVALID_ENTRY = "InvalidEntry"
    OLDER_POOL_UNKNOWN = "OlderPoolUnknown"
    OVERLAPPING_POOL = "OverlappingPool"
    NO_NODES = "NoNodes"
    POOL_EXHAUSTED = "PoolExhausted"
    SERVICES_PENDING = "ServicesPending"
    OBJECTS_LEFT_ALONE = "ObjectsLeftAlone"


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What the status speaks of.

    `overlaps` are the parts of the pool that older balancers own, by their names; `verdicts` say
    why Services (`namespace/name`) lack an address; `services` counts all. `awaited` are the
    children that are asked for and not there. `known` are the member nodes, or those of the last
    time that the children which exist had the lists that they should have.
    """

    seen: picture.Picture
    placement: model.Placement
    overlaps: Mapping[str, pool.Pool]
    verdicts: Mapping[str, Verdict]
    services: int
    awaited: awaited.Awaited
    known: frozenset[str]


def of(facts: Facts, *, now: dt.datetime) -> dict[str, Any]:
    """Return the whole status, without observedGeneration, which Metacontroller puts in."""
    before = facts.seen.balancer.conditions
    verdicts = {
        "AddressesAvailable": _available(facts),
        "PoolValid": _pool_valid(facts),
        "Ready": _ready(facts),
    }
    families = {"ipv4": facts.placement.ipv4, "ipv6": facts.placement.ipv6}
    status: dict[str, Any] = {
        "addresses": {
            "assigned": _capped(sum(family.assigned for family in families.values())),
            "free": _capped(sum(family.free for family in families.values())),
            **{name: _counts(family) for name, family in families.items() if family.total},
            "total": _capped(sum(family.total for family in families.values())),
        },
        "conditions": [
            conditions.stated(kind, verdict, before=before, now=now)
            for kind, verdict in verdicts.items()
        ],
        "nodeCount": len(facts.seen.nodes),
        "services": {
            "pending": len(facts.verdicts) + len(facts.seen.frozen) - len(facts.seen.invalid),
            "total": facts.services,
        },
    }
    nodes = _nodes(facts)
    if nodes:
        status["nodes"] = nodes
    if facts.awaited:
        status["awaited"] = awaited.encode(facts.awaited)
    if facts.placement.quarantined:
        status["quarantined"] = [str(address) for address in facts.placement.quarantined]
    return status


def _counts(family: model.Total) -> dict[str, int]:
    return {
        "assigned": _capped(family.assigned),
        "free": _capped(family.free),
        "total": _capped(family.total),
    }


def _capped(count: int) -> int:
    return min(count, MAX_COUNT)


def _nodes(facts: Facts) -> list[dict[str, Any]]:
    preferred = Counter(
        node
        for node, _ in {
            (assigned.nodes[0], assigned.address)  # a shared address counts once
            for outcome in facts.placement.outcomes
            for assigned in outcome.assigned
            if assigned.nodes
        }
    )
    return [
        {"name": node, "preferred": preferred[node]}
        for node in _named(facts.seen.nodes, facts.known)
    ]


def _named(nodes: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """Return the nodes by which the next sync knows what this one has known.

    Members that joined are left out, and those that left are named still, until the answer is
    what exists. Of more than can be named nothing of the kind is told.
    """
    if len(nodes) > MAX_NODES:
        return nodes[:MAX_NODES]
    gone = sorted(set(known).difference(nodes))
    return sorted([*(node for node in nodes if node in known), *gone][:MAX_NODES])


def _available(facts: Facts) -> Verdict:
    waiting = sorted(
        name
        for outcome in facts.placement.outcomes
        if (name := "/".join(outcome.key)) in facts.verdicts
        and any(isinstance(one, _FULL) for one in outcome.shortfalls)
    )
    if not waiting:
        return Verdict(
            holds=True, reason=Reason.AVAILABLE, message="no Service waits for a free address"
        )
    pool_known = facts.seen.balancer.addresses is not None and not facts.seen.unknown
    remedy = (
        "extend spec.addressPool, or lower the Services' counts"
        if pool_known
        else "nothing new is given until what PoolValid says is mended"
    )
    return Verdict(
        holds=False,
        reason=Reason.POOL_EXHAUSTED,
        message=f"no address is free for {conditions.some(waiting)}: {remedy}",
    )


def _pool_valid(facts: Facts) -> Verdict:
    balancer = facts.seen.balancer
    if balancer.addresses is None:
        return Verdict(
            holds=False,
            reason=Reason.INVALID_ENTRY,
            message=f"{balancer.pool_error}; until then every Service keeps what it has",
        )
    if facts.seen.unknown:
        older, why = min(facts.seen.unknown.items())
        return Verdict(
            holds=False,
            reason=Reason.OLDER_POOL_UNKNOWN,
            message=(
                f"which of these addresses the older balancer {older} owns is not known ({why}): "
                f"mend {older}; until then every Service keeps what it has and gets nothing more"
            ),
        )
    if facts.overlaps:
        owned = conditions.told(
            [
                f"{conditions.some(str(overlap).split(', '))} belongs to {name}"
                for name, overlap in sorted(facts.overlaps.items())
            ]
        )
        return Verdict(
            holds=False,
            reason=Reason.OVERLAPPING_POOL,
            message=(
                f"older balancers have the same addresses and keep them ({owned}): take them "
                "out of spec.addressPool here or there"
            ),
        )
    return Verdict(
        holds=True, reason=Reason.VALID, message="every entry of spec.addressPool is usable"
    )


def _ready(facts: Facts) -> Verdict:
    seen = facts.seen
    pool_valid = _pool_valid(facts)
    if not pool_valid.holds:
        return pool_valid
    if not seen.nodes:
        return Verdict(
            holds=False,
            reason=Reason.NO_NODES,
            message=shortfalls.no_nodes(seen.excluded, seen.balancer),
        )
    if facts.verdicts:
        named = sorted(facts.verdicts)
        first = facts.verdicts[named[0]]
        return Verdict(
            holds=False,
            reason=Reason.SERVICES_PENDING,
            message=f"{conditions.some(named)} lack what they ask for; {named[0]}: {first.message}",
        )
    if seen.left_alone:
        told = [f"{one.kind} {one.name}" for one in seen.left_alone]
        first_left = seen.left_alone[0]
        return Verdict(
            holds=False,
            reason=Reason.OBJECTS_LEFT_ALONE,
            message=(
                f"left as they are: {conditions.some(told)}; the first because of this: "
                f"{first_left.why}"
            ),
        )
    return Verdict(holds=True, reason=Reason.READY, message="every Service has what it asks for")
