# SPDX-License-Identifier: MIT
"""The observed side: what a speaker writes into a child's status, and the webhook reads."""

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Self

from contract import names, pool

INGRESS_IP_MODE = "Proxy"  # KEP-1860: no kube-proxy may take a child's address for its own


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

    `previous` is the status that stands: conditions of others are kept, and our condition's
    transition time is kept while its status is the same.
    """
    status = "True" if announcement.reason.announced else "False"
    conditions = list(previous.get("conditions") or [])
    mine = [c for c in conditions if c.get("type") == names.ANNOUNCED_CONDITION]
    others = [c for c in conditions if c.get("type") != names.ANNOUNCED_CONDITION]
    same = bool(mine) and mine[0].get("status") == status
    moment = mine[0].get("lastTransitionTime") if same else None
    condition = {
        "type": names.ANNOUNCED_CONDITION,
        "status": status,
        "reason": announcement.reason.value,
        "message": announcement.message,
        "lastTransitionTime": moment or now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    ingress = (
        [{"ip": str(announcement.address), "ipMode": INGRESS_IP_MODE}] if status == "True" else []
    )
    return {"loadBalancer": {"ingress": ingress}, "conditions": [*others, condition]}


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
            ingress = (status.get("loadBalancer") or {}).get("ingress") or []
            spoken_of = {entry.get("ip") for entry in ingress}
        elif reason is names.AnnouncedReason.ADDRESS_IN_USE:
            spoken_of = {message.partition(" ")[0]}
        else:
            spoken_of = {str(address)}
        if str(address) not in spoken_of:
            return None
        since = _moment(condition.get("lastTransitionTime"))
        return Announcement(address=address, reason=reason, message=message, since=since)
    return None


def _moment(text: Any) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
