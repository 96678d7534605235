# SPDX-License-Identifier: MIT
"""Conditions after the Kubernetes convention, written so that at rest nothing changes."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

Condition = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition is to say: True or False, one word for programs, a sentence for people."""

    holds: bool
    reason: str
    message: str

    @property
    def status(self) -> str:
        """The word of the API."""
        return "True" if self.holds else "False"


def moment(now: dt.datetime) -> str:
    """Return a time as Kubernetes writes it, in whole seconds UTC."""
    return now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """Return the condition of a type, or None."""
    return next((c for c in conditions if c.get("type") == kind), None)


def stated(
    kind: str, verdict: Verdict, *, before: Sequence[Condition], now: dt.datetime
) -> dict[str, Any]:
    """Return the condition; its transition time is kept while its status stays the same."""
    old = find(before, kind)
    since = old.get("lastTransitionTime") if old and old.get("status") == verdict.status else None
    return {
        "lastTransitionTime": since if isinstance(since, str) and since else moment(now),
        "message": verdict.message,
        "reason": verdict.reason,
        "status": verdict.status,
        "type": kind,
    }
