# SPDX-License-Identifier: MIT
"""What every hook takes beside its request, and what it gives back."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from app import annotations, events


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """The moment of a call and the settings that shape its answer."""

    now: dt.datetime
    keys: annotations.Keys = dataclasses.field(default_factory=annotations.Keys)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The body that goes back, and what is to be told elsewhere, best effort.

    `left_alone` counts objects, by kind, that could not be read.
    """

    body: Mapping[str, Any]
    told: Sequence[events.Event] = ()
    left_alone: Mapping[str, int] = dataclasses.field(default_factory=dict)
