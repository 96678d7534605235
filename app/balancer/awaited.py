# SPDX-License-Identifier: MIT
"""Children that are asked for and are not there, and since when: the balancer's status remembers.

A creation that a quota or a taken name forbids fails in silence, for as long as it does.
"""

import collections
import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app import conditions
from app.models import kubernetes
from app.service import user

REMEMBERED: Final = 64  # of the CRD's schema
# A child that nothing forbids is there within a second, or once another balancer, from which its
# Service has just been moved, has let go of the name: `answer.RELEASE_AFTER_S` and a sync later.
GRACE_S: Final = 8.0
# A note is a Service too. One that could not be created either must not take the place of the child
# once the quota is raised, so only a young absence gets one.
NOTE_WITHIN_S: Final = 60.0
# How soon to look again, by how long a child is awaited, as nothing else wakes the parent.
_LOOK_AGAIN_S: Final = ((10.0, 1), (60.0, 5), (math.inf, 20))

Awaited = Mapping[str, float]  # since when, in seconds since the epoch, by `namespace/name`


def read(status: kubernetes.BalancerStatus) -> Awaited:
    """Return what the status remembers; what else stands there counts for nothing."""
    found: dict[str, float] = {}
    for entry in status.get("awaited") or ():
        try:
            found[entry["name"]] = user.moment(entry["since"])
        except (KeyError, TypeError, ValueError):
            continue
    return found


def of(absent: Iterable[Sequence[str]], *, before: Awaited, now: dt.datetime) -> Awaited:
    """Return since when Services await children; `absent` are the names of each one's.

    One of each is remembered, the one that is so longest. Where there are more, each namespace's
    first come first, since what forbids many children is a namespace's quota.
    """
    moment = user.moment(conditions.moment(now))
    earliest = sorted(min((before.get(name, moment), name) for name in names) for names in absent)
    in_namespace: collections.Counter[str] = collections.Counter()
    ranked = []
    for since, name in earliest:
        namespace = name.partition("/")[0]
        ranked.append((in_namespace[namespace], since, name))
        in_namespace[namespace] += 1
    return {name: since for _, since, name in sorted(ranked)[:REMEMBERED]}


def encode(awaited: Awaited) -> list[dict[str, Any]]:
    """Return the entries of the status, by name."""
    return [
        {
            "name": name,
            "since": conditions.moment(dt.datetime.fromtimestamp(awaited[name], dt.UTC)),
        }
        for name in sorted(awaited)
    ]


def look_again_s(awaited: Awaited, *, now: dt.datetime) -> float:
    """Return the seconds until it is worth looking again; infinite when nothing is awaited."""
    waits = (
        next(wait for limit, wait in _LOOK_AGAIN_S if now.timestamp() - since < limit)
        for since in awaited.values()
    )
    return min(waits, default=math.inf)
