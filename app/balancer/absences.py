# SPDX-License-Identifier: MIT
"""Children that are to be and are not there, and who is told of it."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from app import conditions, pending
from app.balancer import awaited, picture, served


@dataclasses.dataclass(frozen=True, slots=True)
class Absences:
    """Since when children are absent, by `namespace/name`.

    `young` are those of Services so young that none need be there yet; `waiting` is one of each
    other Service, and `overdue` are all of those Services that should have been there by now.
    """

    young: awaited.Awaited
    waiting: awaited.Awaited
    overdue: awaited.Awaited

    def overdue_of(self, one: served.Served) -> list[str]:
        """Return the names of a Service's children that should have been there by now."""
        if not self.overdue:
            return []
        return [c.name for c in one.children if f"{c.namespace}/{c.name}" in self.overdue]

    def verdict(self, one: served.Served) -> conditions.Verdict | None:
        """Say that children of a Service do not appear; None when they do."""
        missing = self.overdue_of(one)
        if not missing:
            return None
        return pending.absent(
            one.service.namespace,
            missing=len(missing),
            planned=len(one.children),
            such_as=missing[0],
        )

    def need_a_note(self, one: served.Served, seen: picture.Picture, *, now: dt.datetime) -> bool:
        """Whether only a note can tell the Service: a child that is there tells as well."""
        missing = self.overdue_of(one)
        if not missing or len(missing) < len(one.children):
            return False
        namespace = one.service.namespace
        since = min(self.overdue[f"{namespace}/{name}"] for name in missing)
        there = (namespace, pending.name(one.service.name)) in seen.children.names
        return there or now.timestamp() - since < awaited.NOTE_WITHIN_S

    def look_again_s(self, *, now: dt.datetime) -> float:
        """Return the seconds until it is worth looking again; infinite when all are there."""
        return awaited.look_again_s({**self.waiting, **self.young}, now=now)


def of(everybody: Sequence[served.Served], seen: picture.Picture, *, now: dt.datetime) -> Absences:
    """Return which of the Services' children are not there, by what the status remembers."""
    moment = now.timestamp()
    young: dict[str, float] = {}
    absent: list[list[str]] = []
    for one in everybody:
        missing = [
            f"{wanted.namespace}/{wanted.name}"
            for wanted in one.children
            if (wanted.namespace, wanted.name) not in seen.children.names
            or seen.children.blocks(wanted)
        ]
        # A young Service's age says since when, so the status need not.
        if moment - one.service.created < awaited.GRACE_S:
            young.update(dict.fromkeys(missing, one.service.created))
        elif missing:
            absent.append(missing)
    waiting = awaited.of(absent, before=seen.awaited, now=now)
    overdue: dict[str, float] = {}
    for missing in absent:
        since = min((waiting[name] for name in missing if name in waiting), default=moment)
        if moment - since >= awaited.GRACE_S:
            overdue.update(dict.fromkeys(missing, since))
    return Absences(young, waiting, overdue)
