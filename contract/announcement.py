# SPDX-License-Identifier: MIT
"""The observed side: what a speaker writes into a child's status, and the webhook reads."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Self

from contract import names, pool

INGRESS_IP_MODE = "Proxy"  # KEP-1860: no kube-proxy may take a child's address for its own
_OURS = {names.ANNOUNCED_CONDITION, names.EVER_ANNOUNCED_CONDITION}


@dataclasses.dataclass(frozen=True, slots=True)
class Announcement:
    """What one speaker says of one address.

    When it is announced, `message` is `<node> <interface> <MAC>`; `since` is when the condition's
    status last changed. No heartbeat, counter or other varying text belongs in it: each write
    costs a sync of the balancer and wakes every speaker.
    """

    address: pool.Address
    reason: names.AnnouncedReason
    message: str
    since: dt.datetime | None = None

    @classmethod
    def by(cls, address: pool.Address, *, node: str, interface: str, mac: str) -> Self:
        """Return the announcement of an address by a node."""
        return cls(address, names.AnnouncedReason.ANNOUNCING, f"{node} {interface} {mac}")

    @classmethod
    def in_use(cls, address: pool.Address, *, mac: str) -> Self:
        """Return the report that a stranger answers for an address nobody of us held before."""
        return cls(address, names.AnnouncedReason.ADDRESS_IN_USE, f"{address} is answered by {mac}")

    @property
    def node(self) -> str | None:
        """The node that announces the address; None when nobody does."""
        return self.message.partition(" ")[0] if self.reason.announced else None


def encode_status(
    announcement: Announcement, *, previous: Mapping[str, Any], now: dt.datetime
) -> dict[str, Any]:
    """Return the child's whole status.

    `previous` is the status that stands: conditions of others are kept, and ours keep their
    transition times while they say the same. That the address was ever announced is said from its
    first announcement on, whatever is said of it later; a child that gets another starts anew.
    """
    address = announcement.address
    status = "True" if announcement.reason.announced else "False"
    conditions = list(previous.get("conditions") or [])
    others = [c for c in conditions if c.get("type") not in _OURS]
    mine = _condition(previous, names.ANNOUNCED_CONDITION)
    moment = mine.get("lastTransitionTime") if mine.get("status") == status else None
    present = now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ours = [
        {
            "type": names.ANNOUNCED_CONDITION,
            "status": status,
            "reason": announcement.reason.value,
            "message": announcement.message,
            "lastTransitionTime": moment or present,
        }
    ]
    if announcement.reason.announced or ever_announced(previous, address=address):
        said = _condition(previous, names.EVER_ANNOUNCED_CONDITION)
        moment = said.get("lastTransitionTime") if _first_word(said) == str(address) else None
        ours.append(
            {
                "type": names.EVER_ANNOUNCED_CONDITION,
                "status": "True",
                "reason": names.EVER_ANNOUNCED_REASON,
                "message": f"{address} has been announced and is not replaced by another",
                "lastTransitionTime": moment or present,
            }
        )
    ingress = [{"ip": str(address), "ipMode": INGRESS_IP_MODE}] if status == "True" else []
    return {"loadBalancer": {"ingress": ingress}, "conditions": [*others, *ours]}


def decode_status(manifest: Mapping[str, Any], *, address: pool.Address) -> Announcement | None:
    """Read what a speaker last wrote of a child that now has this address.

    None when nothing readable was written, or when it speaks of an address the child had before.
    """
    status = manifest.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") != names.ANNOUNCED_CONDITION:
            continue
        try:
            reason = names.AnnouncedReason(condition.get("reason"))
        except ValueError:
            return None  # a newer speaker's word
        message = str(condition.get("message", ""))
        if reason.announced:
            spoken_of = _shown(status)
        elif reason is names.AnnouncedReason.ADDRESS_IN_USE:
            spoken_of = {_first_word(condition)}
        else:
            spoken_of = {str(address)}
        if str(address) not in spoken_of:
            return None
        since = _moment(condition.get("lastTransitionTime"))
        return Announcement(address=address, reason=reason, message=message, since=since)
    return None


def ever_announced(status: Mapping[str, Any], *, address: pool.Address) -> bool:
    """Whether a child's status says that one of us announces this address, or once did.

    A speaker that knows no such fact says only the former.
    """
    said = _condition(status, names.EVER_ANNOUNCED_CONDITION)
    if _first_word(said) == str(address):
        return True
    mine = _condition(status, names.ANNOUNCED_CONDITION)
    return mine.get("status") == "True" and str(address) in _shown(status)


def reported_in_use(status: Mapping[str, Any]) -> pool.Address | None:
    """Return the address that a stranger was found to use: the child's own, or one it had before.

    None when the last report is another.
    """
    mine = _condition(status, names.ANNOUNCED_CONDITION)
    if mine.get("reason") != names.AnnouncedReason.ADDRESS_IN_USE:
        return None
    try:
        return pool.parse_address(_first_word(mine))
    except ValueError:
        return None


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the condition of this type, an empty one if there is none."""
    conditions = status.get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def _first_word(condition: Mapping[str, Any]) -> str:
    return str(condition.get("message", "")).partition(" ")[0]


def _shown(status: Mapping[str, Any]) -> set[Any]:
    ingress = (status.get("loadBalancer") or {}).get("ingress") or []
    return {entry.get("ip") for entry in ingress}


def _moment(text: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
