# SPDX-License-Identifier: MIT
"""The history of moves, as far as the cluster's Events still tell it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.explain import model, moments
from contract import move

MAX_MOVES: Final = 500  # the newest; an API server keeps Events for an hour
_MOMENTS: Final = ("eventTime", "lastTimestamp", "firstTimestamp")


def read(events: Iterable[Any]) -> tuple[model.Move, ...]:
    """Return the moves among Events of either API, the newest first; others are skipped."""
    found = {one for event in events if (one := _read_one(event)) is not None}
    return tuple(sorted(found, key=_newest_first))[:MAX_MOVES]


def _newest_first(one: model.Move) -> tuple[float, str, str, str]:
    return -one.moment.timestamp(), one.namespace, one.service, str(one.address)


def _read_one(event: Any) -> model.Move | None:
    if not isinstance(event, Mapping) or event.get("reason") != move.REASON:
        return None
    told = move.read(str(event.get("message") or event.get("note") or ""))
    about = event.get("involvedObject") or event.get("regarding")
    moment = _moment(event)
    if told is None or moment is None or not isinstance(about, Mapping):
        return None
    return model.Move(
        moment=moment,
        namespace=str(about.get("namespace", "")),
        service=str(about.get("name", "")),
        address=told.address,
        came_from=told.came_from,
        went_to=told.went_to,
        why=told.why,
        warns=event.get("type") == "Warning",
    )


def _moment(event: Mapping[str, Any]) -> dt.datetime | None:
    metadata = event.get("metadata")
    created = metadata.get("creationTimestamp") if isinstance(metadata, Mapping) else None
    texts = (*(event.get(field) for field in _MOMENTS), created)
    return next((moment for text in texts if (moment := moments.read(text)) is not None), None)
