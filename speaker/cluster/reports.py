# SPDX-License-Identifier: MIT
"""When which child's status is written. Pure; `now` in monotonic seconds.

Each write costs the webhook a sync of the whole balancer and wakes every speaker's watch. So a
child nobody has spoken of is written at once, and so are an address's first announcement and one
that is in use; a change of holder only after it has stood for some seconds. Another speaker's
write causes none of ours; what then still differs is found by the look that is taken each minute.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from contract import announcement, names
from speaker.cluster import view, watch
from speaker.wire import schedule

SETTLED_AFTER_S: Final = 10.0
JITTER_S: Final = 2.0
RECHECK_S: Final = 60.0
RATE: Final = 5.0  # writes a second
BURST: Final = 10
RETRY_S: Final = 1.0


Wants = Callable[[view.KnownChild, float], announcement.Announcement | None]
"""What this node wants a child's status to say now; None when that is another's to say."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A status to write."""

    known: view.KnownChild
    announcement: announcement.Announcement


class Reports:
    """The writes that are to come, at most one a child.

    `jitter` returns a number from 0 to 1.
    """

    def __init__(self, jitter: Callable[[], float], now: float) -> None:
        self._jitter = jitter
        self._due: dict[watch.Key, float] = {}
        self._bucket = schedule.Bucket(RATE, BURST, now)
        self._written: dict[watch.Key, announcement.Announcement] = {}

    def consider(
        self, known: Mapping[watch.Key, view.KnownChild], wants: Wants, now: float
    ) -> None:
        """Plan a write for each child whose status is not what this node wants it to say."""
        for key in self._due.keys() - known.keys():
            del self._due[key]
        for key in self._written.keys() - known.keys():
            del self._written[key]
        for key, child in known.items():
            want = wants(child, now)
            if want is None or self._says(child, want):
                self._due.pop(key, None)
                continue
            urgent = _is_urgent(child, want)
            due = now if urgent else now + SETTLED_AFTER_S + JITTER_S * self._jitter()
            self._due[key] = min(due, self._due.get(key, due))

    def due(
        self, known: Mapping[watch.Key, view.KnownChild], wants: Wants, now: float
    ) -> Report | None:
        """Return the next status to write now; it counts as written unless `failed` is called."""
        while self._due:
            key = min(self._due, key=self._due.__getitem__)
            if self._due[key] > now:
                return None
            child = known.get(key)
            want = wants(child, now) if child is not None else None
            if child is None or want is None or self._says(child, want):
                del self._due[key]
                continue
            if not self._bucket.take(now, 1):
                return None
            del self._due[key]
            self._written[key] = want
            return Report(child, want)
        return None

    def seen(self, key: watch.Key | None) -> None:
        """Trust what the watch says of this child again, or of all."""
        if key is None:
            self._written.clear()
        else:
            self._written.pop(key, None)

    def failed(self, key: watch.Key, now: float) -> None:
        """Plan the write again."""
        self._written.pop(key, None)
        self._due[key] = now + RETRY_S

    def next_at(self, now: float) -> float | None:
        """Return when `due` may next have something, None for never."""
        if not self._due:
            return None
        return max(min(self._due.values()), self._bucket.ready_at(now, 1))

    def _says(self, child: view.KnownChild, want: announcement.Announcement) -> bool:
        said = self._written.get(child.key, child.announced)
        return said is not None and dataclasses.replace(said, since=None) == want


def _is_urgent(child: view.KnownChild, want: announcement.Announcement) -> bool:
    if child.announced is None or want.reason is names.AnnouncedReason.ADDRESS_IN_USE:
        return True
    return want.reason.announced and not child.ever_announced
