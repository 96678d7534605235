# SPDX-License-Identifier: MIT
"""How the page says levels, moments and lengths of time. Pure."""

import datetime as dt
from typing import Final

from app.explain import model

LEVELS: Final = {
    model.Level.GOOD: "fine",
    model.Level.NOTICE: "note",
    model.Level.WAITING: "waiting",
    model.Level.BROKEN: "broken",
}
COUNTED: Final = LEVELS | {model.Level.NOTICE: "to note"}
MARKS: Final = {
    model.Level.GOOD: "✓",
    model.Level.NOTICE: "i",
    model.Level.WAITING: "…",
    model.Level.BROKEN: "✕",
}
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def age(moment: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago a moment is, in its largest unit: `45 s`, `3 min`, `2 h`, `5 d`."""
    seconds = max(int((now - moment).total_seconds()), 0)
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def clock(moment: dt.datetime) -> str:
    """Return a moment to the second, in UTC."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine(moment: dt.datetime) -> str:
    """Return a moment as HTML's `datetime` attribute wants it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def counted(number: int, one: str, more: str = "") -> str:
    """Return `1 address`, `3 addresses`."""
    return f"{number} {one if number == 1 else more or f'{one}s'}"
