# SPDX-License-Identifier: MIT
"""Conditions after the Kubernetes convention, written so that at rest nothing changes."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

Condition = Mapping[str, Any]
# Characters: half of what the API server lets in (metav1.Condition), and enough for the record of a
# Service's 128 addresses, twice, which a message begins with and which is never cut.
MAX_MESSAGE: Final = 16_384
_MAX_NAMED: Final = 5


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


def some(things: Sequence[str]) -> str:
    """Name the first few and count the rest."""
    named = ", ".join(things[:_MAX_NAMED])
    rest = len(things) - _MAX_NAMED
    return f"{named} and {rest} more" if rest > 0 else named


def told(sentences: Sequence[str]) -> str:
    """Say the first few sentences and count the rest."""
    rest = len(sentences) - _MAX_NAMED
    return "; ".join([*sentences[:_MAX_NAMED], *([f"and {rest} more"] if rest > 0 else [])])


def stated(
    kind: str, verdict: Verdict, *, before: Sequence[Condition], now: dt.datetime
) -> dict[str, Any]:
    """Return the condition; its transition time is kept while its status stays the same.

    One message too long for the API server would keep it from taking the whole status.
    """
    old = find(before, kind)
    since = old.get("lastTransitionTime") if old and old.get("status") == verdict.status else None
    return {
        "lastTransitionTime": since if isinstance(since, str) and since else moment(now),
        "message": _cut(verdict.message),
        "reason": verdict.reason,
        "status": verdict.status,
        "type": kind,
    }


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."
