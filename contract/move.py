# SPDX-License-Identifier: MIT
"""The Event of a move: speakers write it, the page and `kubectl l2lb` read it."""

import dataclasses
import re
from typing import Final

from contract import pool

REASON: Final = "AddressMoved"
COMPONENT: Final = "l2lb-speaker"  # who reports it
_WORDS: Final = re.compile(
    r"(?P<address>\S+) moved from (?P<came_from>\S+) to (?P<went_to>\S+): (?P<why>.+)"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """An address went from one node to another; `why` is the taker's cause."""

    address: pool.Address
    came_from: str
    went_to: str
    why: str

    def __str__(self) -> str:
        return f"{self.address} moved from {self.came_from} to {self.went_to}: {self.why}"


def read(message: str) -> Move | None:
    """Return the move that an Event's message tells of; None when it tells of something else."""
    words = _WORDS.fullmatch(message)
    if words is None:
        return None
    try:
        address = pool.parse_address(words["address"])
    except ValueError:
        return None
    return Move(address, words["came_from"], words["went_to"], words["why"])
