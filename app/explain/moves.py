# SPDX-License-Identifier: MIT
"""The history of moves, as far as the cluster's Events still tell it."""

import datetime as dt
import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.explain import model, moments

MAX_MOVES: Final = 500  # the newest; an API server keeps Events for an hour
REASON: Final = "AddressMoved"  # of the speakers' Events
_WORDS: Final = re.compile(
    r"(?P<address>\S+) moved from (?P<came_from>\S+) to (?P<went_to>\S+): (?P<why>.+)"
)
_MOMENTS: Final = ("eventTime", "lastTimestamp", "firstTimestamp")


def read(events: Iterable[Any]) -> tuple[model.Move, ...]:
    """Return the moves among Events of either API, the newest first; others are skipped."""
    found = {move for event in events if (move := _read_one(event)) is not None}
    return tuple(sorted(found, key=_newest_first))[:MAX_MOVES]


def _newest_first(move: model.Move) -> tuple[float, str, str, str]:
    return -move.moment.timestamp(), move.namespace, move.service, str(move.address)


def _read_one(event: Any) -> model.Move | None:
    if not isinstance(event, Mapping) or event.get("reason") != REASON:
        return None
    words = _WORDS.fullmatch(str(event.get("message") or event.get("note") or ""))
    about = event.get("involvedObject") or event.get("regarding")
    moment = _moment(event)
    if words is None or moment is None or not isinstance(about, Mapping):
        return None
    try:
        address = ipaddress.ip_address(words["address"])
    except ValueError:
        return None
    return model.Move(
        moment=moment,
        namespace=str(about.get("namespace", "")),
        service=str(about.get("name", "")),
        address=address,
        came_from=words["came_from"],
        went_to=words["went_to"],
        why=words["why"],
        warns=event.get("type") == "Warning",
    )


def _moment(event: Mapping[str, Any]) -> dt.datetime | None:
    metadata = event.get("metadata")
    created = metadata.get("creationTimestamp") if isinstance(metadata, Mapping) else None
    texts = (*(event.get(field) for field in _MOMENTS), created)
    return next((moment for text in texts if (moment := moments.read(text)) is not None), None)
