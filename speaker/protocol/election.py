# SPDX-License-Identifier: MIT
"""Who should hold one address: pure functions of what is known at one instant.

`docs/protocol.md` gives the rules in words; each function here is one of them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from speaker.protocol.claimset import UNLISTED, Claim

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from speaker.protocol.events import Listed, Rank


@dataclasses.dataclass(slots=True, eq=False)
class Standing:
    """A speaker as the election sees it, ourselves included; made anew for each round."""

    node: str
    epoch: bytes
    rank: Rank
    fit: bool
    well_since: float
    hears_us: bool
    deaf_since: float
    claims: Mapping[bytes, Claim]


def position(listed: Listed, node: str) -> int:
    """Find the node's place in the list, 0 is preferred; `UNLISTED` if it has none."""
    try:
        return listed.nodes.index(node)
    except ValueError:
        return UNLISTED


def candidates(listed: Listed, address: bytes, standings: Mapping[str, Standing]) -> list[Standing]:
    """Who may hold the address, the first in order first: by rank, then by the list."""
    found = []
    for node in listed.nodes:
        standing = standings.get(node)
        if standing is not None and standing.fit:
            claim = standing.claims.get(address)
            if claim is None or not claim.declined:
                found.append(standing)
    found.sort(key=_rank)
    return found


def _rank(standing: Standing) -> Rank:
    return standing.rank


def strength(
    claimant: Standing, claim: Claim, failback_delay_s: float, now: float
) -> tuple[object, ...]:
    """Order two claims on one address: the greater one wins, the loser stops on hearing it.

    The newer list knows better; a candidate goes before one that is none any more, a better rank
    before a worse one, one that has been well for the fail-back delay before one that has not.
    """
    return (
        claim.created,
        claim.list_version,
        claimant.fit and not claim.declined and claim.position != UNLISTED,
        -claimant.rank,
        now - claimant.well_since >= failback_delay_s,
        -claim.position,
        claimant.epoch,
    )


def holder(
    address: bytes, speakers: Iterable[Standing], failback_delay_s: float, now: float
) -> tuple[Standing, Claim] | None:
    """Find the strongest of those who claim the address, or None."""
    best: tuple[Standing, Claim] | None = None
    for standing in speakers:
        claim = standing.claims.get(address)
        if claim is None or not claim.held:
            continue
        if best is None or strength(standing, claim, failback_delay_s, now) > strength(
            *best, failback_delay_s, now
        ):
            best = standing, claim
    return best
