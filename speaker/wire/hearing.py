# SPDX-License-Identifier: MIT
"""Whether an interface receives anything at all.

A node whose receiving side is dead believes that all others died. Were it to announce what it then
takes, clients would send everything to it. Any frame at all tells it that it is not deaf, and a
frame of a client that looks for an address comes soon.
"""

import pathlib
from collections.abc import Callable
from typing import Final

from speaker.protocol import const

LOOK_S: Final = 0.05
_DEVICES: Final = pathlib.Path("/proc/self/net/dev")  # proc(5); of this network namespace


def received(interface: str, devices: pathlib.Path = _DEVICES) -> int | None:
    """Return how many frames the interface has received so far; None when nobody can tell."""
    try:
        # An interface's name may be any bytes but a few, and is read as links.rtnetlink reads it.
        lines = devices.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return None
    for line in lines:
        name, _, numbers = line.partition(":")
        if name.strip() == interface:
            return int(numbers.split()[1])
    return None


class Mute:
    """Keeps a node silent until it receives something; `count` is asked for the frames so far."""

    def __init__(self, count: Callable[[], int | None]) -> None:
        self._count = count
        self._before = count()
        self._until: float | None = None

    def ends(self, now: float, *, alone: bool) -> bool:
        """Whether announcements may go out at `now`, in monotonic seconds.

        Who hears others again first listens to what they claim.
        """
        if self._until is None:
            count = self._count()
            if count is not None and count == self._before:
                return False
            self._until = now if alone else now + const.CLAIMS_AWAITED_S
        return now >= self._until
