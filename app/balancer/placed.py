# SPDX-License-Identifier: MIT
"""Placement, worked out anew only where something that it depends on has changed.

Most syncs are asked for by a Node that reports or a speaker that says what it announces, neither
of which moves anything.
"""

from collections.abc import Sequence
from typing import Final

from app.placement import model, place

REMEMBERED: Final = 32  # balancers; a placement of 3,000 addresses is 1 MB

Asked = tuple[model.Balancer, Sequence[model.Wish]]
_last: dict[str, tuple[Asked, model.Placement]] = {}


def of(balancer: model.Balancer, wishes: Sequence[model.Wish]) -> model.Placement:
    """Return what `place.place` returns."""
    asked = balancer, wishes
    known = _last.pop(balancer.uid, None)
    placement = known[1] if known is not None and known[0] == asked else place.place(*asked)
    while len(_last) >= REMEMBERED:
        del _last[next(iter(_last))]
    _last[balancer.uid] = asked, placement
    return placement
