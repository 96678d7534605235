# SPDX-License-Identifier: MIT
"""What the user's Service shows: the label by which its balancer sees it, addresses, condition."""

import dataclasses
import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app import conditions
from app.conditions import Verdict
from app.models import kubernetes
from app.service import record, siblings, user
from contract import names, pool
from contract.names import AssignedReason

# Siblings are created one after another, within milliseconds; one that has not come by then is
# forbidden or its name is taken, and the others are shown without it.
SIBLING_WAIT_S: Final = 3.0
# A balancer that exists answers a new Service within a second, or, after a call that failed, within
# its resync period of 10 s; only after that is the Service told that there is no such balancer.
BALANCER_WAIT_S: Final = 15.0
IP_MODE: Final = "VIP"  # KEP-1860; left out, each sync would write twice in vain


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What a Service's sync answers.

    `labels` are merged, None deletes. `status` is the whole status, None leaves it as it is.
    `told` is the condition's verdict when its reason is new: worth an Event. `resync_after_s` is
    0 when nothing is waited for.
    """

    labels: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    status: Mapping[str, Any] | None = None
    told: Verdict | None = None
    resync_after_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Shown:
    """What the status is to show; None leaves that part as it is."""

    addresses: tuple[pool.Address, ...] | None = None
    verdict: Verdict | None = None
    resync_after_s: float = 0.0


def decide(
    service: user.UserService,
    manifest: kubernetes.ServiceWithHistory,
    related: siblings.Related,
    *,
    now: dt.datetime,
) -> Decision:
    """Return the answer for a Service that carries the annotation."""
    status = manifest.get("status") or {}
    standing = _conditions(status)
    label = ((manifest.get("metadata") or {}).get("labels") or {}).get(names.SERVICE_BALANCER)
    if service.terminating:
        # Whatever becomes of its annotations, the balancer whose addresses it still shows, and
        # every service proxy serves, must go on seeing it, or it would give them to others.
        return Decision(labels=_mirrored(label, record.balancer(standing)))
    if not service.ours or service.balancer is None:
        return let_go(manifest)
    if service.ask is None:
        keeper = siblings.keeper(service, label, related)
        shown = _show_invalid(service, keeper or service.balancer, manifest, related, now=now)
        return _answer(_mirrored(label, keeper), status, shown, now=now)
    balancer = service.ask.balancer
    having = siblings.readable(service, balancer, related)
    foreign = _foreign(service, having, standing)
    if foreign:
        note = siblings.note(service, related)
        shown = _Shown(verdict=_foreign_status(service, balancer, foreign, note, standing))
    else:
        shown = _show(service, balancer, manifest, having, related, now=now)
    leaving = label != balancer and _is_leaving(label, service, shown, related, standing)
    return _answer({} if leaving else _mirrored(label, balancer), status, shown, now=now)


def let_go(manifest: kubernetes.ServiceWithHistory) -> Decision:
    """Return the answer for a Service that is not ours, or no more: our traces go, nothing else."""
    labels = (manifest.get("metadata") or {}).get("labels") or {}
    gone: dict[str, str | None] = (
        {names.SERVICE_BALANCER: None} if names.SERVICE_BALANCER in labels else {}
    )
    status = manifest.get("status") or {}
    standing = _conditions(status)
    ours = conditions.find(standing, names.ASSIGNED_CONDITION)
    if ours is None:
        return Decision(labels=gone)
    written = {str(address) for address in record.addresses(standing)}
    others = [c for c in standing if c is not ours]
    load_balancer = dict(status.get("loadBalancer") or {})
    kept = [e for e in load_balancer.pop("ingress", None) or () if _ip(e) not in written]
    if kept:
        load_balancer["ingress"] = kept
    cleaned = {k: v for k, v in status.items() if k not in {"conditions", "loadBalancer"}}
    if others:
        cleaned["conditions"] = others
    cleaned["loadBalancer"] = load_balancer
    return Decision(labels=gone, status=cleaned)


def _show(
    service: user.UserService,
    balancer: str,
    manifest: kubernetes.ServiceWithHistory,
    having: Sequence[siblings.Sibling],
    related: siblings.Related,
    *,
    now: dt.datetime,
) -> _Shown:
    note = siblings.note(service, related)
    if not having:
        if note is not None:
            return _Shown(addresses=(), verdict=_remembering(note, balancer, manifest))
        return _unanswered(service, balancer, manifest, now=now)
    addresses = tuple(one.child.address for one in having)
    planned = max(one.child.planned for one in having)
    missing = planned - len(having)
    if missing > 0:
        age_s = now.timestamp() - max(one.created for one in having)
        if age_s < SIBLING_WAIT_S:
            return _Shown(resync_after_s=_soon(min(SIBLING_WAIT_S, SIBLING_WAIT_S - age_s)))
        if note is None:
            gone = _just_gone(service, balancer, manifest, addresses, now=now)
            if gone is not None:
                return gone
            note = siblings.missing(service, having, planned)
    if note is not None:
        before = record.addresses(_conditions(manifest.get("status") or {}))
        everything = record.remembered(before, addresses, missing)
        message = record.sentence(addresses, balancer, note.message, of=everything)
        return _Shown(addresses, Verdict(holds=False, reason=note.reason, message=message))
    message = record.sentence(addresses, balancer)
    return _Shown(addresses, Verdict(holds=True, reason=AssignedReason.ASSIGNED, message=message))


def _show_invalid(
    service: user.UserService,
    balancer: str,
    manifest: kubernetes.ServiceWithHistory,
    related: siblings.Related,
    *,
    now: dt.datetime,
) -> _Shown:
    """Show a Service whose annotations mean nothing: it keeps what its children have, and no more.

    What has lost its child may be somebody else's by now.
    """
    standing = _conditions(manifest.get("status") or {})
    having = siblings.readable(service, balancer, related)
    addresses = tuple(one.child.address for one in having)
    before, of = record.addresses(standing), record.balancer(standing) or balancer
    ours = conditions.find(standing, names.ASSIGNED_CONDITION)
    if (ours is None and not having) or _foreign(service, having, standing):
        message = record.sentence(before, of, service.invalid)
        return _Shown(verdict=_invalid(message))
    gone = _just_gone(service, of, manifest, addresses, now=now)
    if gone is not None:
        return gone
    if addresses:
        everything = record.remembered(before, addresses, len(before))
        message = record.sentence(addresses, of, service.invalid, of=everything)
    else:
        message = record.sentence(before, of, service.invalid, verb="had")
    return _Shown(addresses, _invalid(message))


def _invalid(message: str) -> Verdict:
    return Verdict(holds=False, reason=AssignedReason.INVALID_ANNOTATION, message=message)


def _unanswered(
    service: user.UserService,
    balancer: str,
    manifest: kubernetes.ServiceWithHistory,
    *,
    now: dt.datetime,
) -> _Shown:
    """Show a Service of which its balancer says nothing: it is told so once it has waited.

    Until then it shows what it has; but no address of another balancer, which is not asked any more
    and may give it to others now. How long it waits nobody else's writes may change: a new Service
    since its balancer can see it, one that was told something before since its condition says so.
    """
    standing = _conditions(manifest.get("status") or {})
    before, of = record.addresses(standing), record.balancer(standing) or balancer
    not_found = record.sentence(
        before,
        of,
        f"no L2LoadBalancer {balancer} has answered: create it, or correct the annotation to one "
        "that 'kubectl get l2lb' lists; of one that is listed, the condition Ready says what is "
        "wrong",
        verb="had",
    )
    verdict = Verdict(holds=False, reason=AssignedReason.BALANCER_NOT_FOUND, message=not_found)
    ours = conditions.find(standing, names.ASSIGNED_CONDITION)
    if ours is None:
        left_s = _left_s(_seen_since(service, balancer, manifest, now=now), BALANCER_WAIT_S, now)
        if left_s > 0:
            return _Shown(resync_after_s=_soon(left_s))
        return _Shown(addresses=(), verdict=verdict)
    since = record.unanswered_since(standing, balancer) or conditions.moment(now)
    left_s = _left_s(_moment(since), BALANCER_WAIT_S, now)
    if ours.get("message") == not_found or left_s <= 0:
        return _Shown(addresses=(), verdict=verdict)
    moved = of != balancer
    waiting = Verdict(
        holds=ours.get("status") == "True" and not moved,
        reason=ours.get("reason", ""),
        message=record.sentence(
            before,
            of,
            record.unanswered(balancer, since),
            verb="had" if moved or set(before).isdisjoint(service.listed) else "has",
        ),
    )
    return _Shown(addresses=() if moved else None, verdict=waiting, resync_after_s=_soon(left_s))


def _just_gone(
    service: user.UserService,
    balancer: str,
    manifest: kubernetes.ServiceWithHistory,
    having: Sequence[pool.Address],
    *,
    now: dt.datetime,
) -> _Shown | None:
    """Leave the addresses as they are while children of theirs are gone for a moment only.

    Metacontroller deletes before it creates and updates, and asks in between: what was planned
    instead is seen a moment later. As nothing tells when a child went, the condition remembers.
    None when none went, or too long ago.
    """
    standing = _conditions(manifest.get("status") or {})
    ours = conditions.find(standing, names.ASSIGNED_CONDITION)
    moved = record.balancer(standing) not in {None, balancer}
    if ours is None or moved or set(service.listed) <= set(having):
        return None
    since = record.without_child_since(standing) or conditions.moment(now)
    left_s = _left_s(_moment(since), SIBLING_WAIT_S, now)
    if left_s <= 0:
        return None
    before = record.addresses(standing)
    message = record.sentence(before, balancer, record.without_child(since))
    verdict = Verdict(
        holds=ours.get("status") == "True", reason=ours.get("reason", ""), message=message
    )
    return _Shown(verdict=verdict, resync_after_s=_soon(left_s))


def _seen_since(
    service: user.UserService,
    balancer: str,
    manifest: kubernetes.ServiceWithHistory,
    *,
    now: dt.datetime,
) -> float:
    """Return since when the balancer can see the Service, in seconds since the epoch: by its label.

    Whoever writes a label's value is, from then on, its owner in managedFields, with that moment.
    """
    metadata = manifest.get("metadata") or {}
    if (metadata.get("labels") or {}).get(names.SERVICE_BALANCER) != balancer:
        return now.timestamp()
    moments = [service.created]
    for entry in metadata.get("managedFields") or ():
        written = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{names.SERVICE_BALANCER}" in (written.get("f:labels") or {}):
            moments.append(_moment(entry.get("time")))
    return max(moments)


def _moment(text: Any) -> float:
    """Return a time in seconds since the epoch; of what is none, as it may be absent, long ago."""
    try:
        return user.moment(text)
    except (TypeError, ValueError):
        return 0.0


def _left_s(since: float, wait_s: float, now: dt.datetime) -> float:
    """Return what is left of a wait; no more than all of it, should clocks differ."""
    return min(wait_s, wait_s - (now.timestamp() - since))


def _is_leaving(
    label: str | None,
    service: user.UserService,
    shown: _Shown,
    related: siblings.Related,
    standing: Sequence[conditions.Condition],
) -> bool:
    """Whether the balancer that the label still names has children that it has to let go of.

    While it sees that the Service is another's it does so at once; of a Service that it does not
    see it keeps them for a while, and with them the names of those that the other is to create.
    Where it does not let go though, its label does not stay for ever.
    """
    return (
        label in siblings.balancers(service, related)
        and conditions.find(standing, names.ASSIGNED_CONDITION) is not None
        and (shown.verdict is None or shown.verdict.reason != AssignedReason.BALANCER_NOT_FOUND)
    )


def _mirrored(label: str | None, balancer: str | None) -> dict[str, str | None]:
    """Return the change that makes the label name a balancer; none where there is none to name."""
    return {} if balancer in {None, label} else {names.SERVICE_BALANCER: balancer}


def _remembering(note: Verdict, balancer: str, manifest: kubernetes.ServiceWithHistory) -> Verdict:
    """Return what a note says of a Service without children, which may get back what they had."""
    standing = _conditions(manifest.get("status") or {})
    had, of = record.addresses(standing), record.balancer(standing) or balancer
    message = record.sentence(had, of, note.message, verb="had")
    return dataclasses.replace(note, message=message)


def _foreign(
    service: user.UserService,
    having: Sequence[siblings.Sibling],
    standing: Sequence[conditions.Condition],
) -> list[str]:
    """Return what somebody else wrote into the status; nobody else may under our class."""
    if service.class_name == names.SERVICE_CLASS:
        return []
    ours = {one.child.address for one in having} | set(record.addresses(standing))
    return [*(str(address) for address in service.listed if address not in ours), *service.strange]


def _foreign_status(
    service: user.UserService,
    balancer: str,
    foreign: Sequence[str],
    note: Verdict | None,
    standing: Sequence[conditions.Condition],
) -> Verdict:
    """Say what is foreign; what is ours stays on record, to be taken away some day.

    That may be what the Service is to have from us too, and `note` says then why it can not.
    """
    before = record.addresses(standing)
    lacking = f"; and {note.message}" if note is not None else ""
    message = record.sentence(
        before,
        record.balancer(standing) or balancer,
        f"another load balancer has written {conditions.some(foreign)} into "
        "the status, so it is left as it is: take the Service from that one, or create it anew "
        f"with loadBalancerClass {names.SERVICE_CLASS}{lacking}",
        verb="had" if set(before).isdisjoint(service.listed) else "has",
    )
    return Verdict(holds=False, reason=AssignedReason.FOREIGN_STATUS, message=message)


def _answer(
    labels: Mapping[str, str | None],
    status: Mapping[str, Any],
    shown: _Shown,
    *,
    now: dt.datetime,
) -> Decision:
    standing = _conditions(status)
    new = dict(status)
    told = None
    if shown.addresses is not None:
        new["loadBalancer"] = (
            {"ingress": [{"ip": str(a), "ipMode": IP_MODE} for a in shown.addresses]}
            if shown.addresses
            else {}
        )
    if shown.verdict is not None:
        ours = conditions.find(standing, names.ASSIGNED_CONDITION)
        stated = conditions.stated(
            names.ASSIGNED_CONDITION, shown.verdict, before=standing, now=now
        )
        new["conditions"] = (
            [*standing, stated]
            if ours is None
            else [stated if condition is ours else condition for condition in standing]
        )
        if ours is None or ours.get("reason") != shown.verdict.reason:
            told = shown.verdict
    return Decision(
        labels=labels,
        status=new if new != status else None,
        told=told,
        resync_after_s=shown.resync_after_s,
    )


def _conditions(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(status.get("conditions") or ())


def _ip(entry: Any) -> str:
    return str(entry.get("ip", "")) if isinstance(entry, Mapping) else ""


def _soon(seconds: float) -> float:
    return float(max(1, math.ceil(seconds)))
