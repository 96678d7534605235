# SPDX-License-Identifier: MIT
"""What every hook takes beside its request, and what it gives back."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app import annotations, events

PAUSE_S: Final = 12  # longer than a balancer's resync period: while one exists, calls come
CATCH_UP_S: Final = 17  # longer than a Service's resync period: each has had its call since


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """The moment of a call and the settings that shape its answer.

    At `caught_up_at` every Service will have had a call of its own since calls began to come
    without a pause; none means long ago.
    """

    now: dt.datetime
    keys: annotations.Keys = dataclasses.field(default_factory=annotations.Keys)
    caught_up_at: dt.datetime | None = None


@dataclasses.dataclass(slots=True)
class Calls:
    """Since when Metacontroller has been calling without a pause.

    All that the hooks remember. After an outage the calls for a balancer and for its Services come
    in any order: a Service that was replaced meanwhile has not got its label back yet.
    """

    since: dt.datetime | None = None
    last: dt.datetime | None = None

    def caught_up_at(self, now: dt.datetime) -> dt.datetime:
        """Take note of a call; return when everything will have been seen since the last pause."""
        pause = dt.timedelta(seconds=PAUSE_S)
        if self.since is None or self.last is None or not -pause < now - self.last < pause:
            self.since = now
        self.last = now
        return self.since + dt.timedelta(seconds=CATCH_UP_S)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The body that goes back, and what is to be told elsewhere, best effort.

    `left_alone` counts objects, by kind, that could not be read.
    """

    body: Mapping[str, Any]
    told: Sequence[events.Event] = ()
    left_alone: Mapping[str, int] = dataclasses.field(default_factory=dict)
