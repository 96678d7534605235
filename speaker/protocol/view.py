# SPDX-License-Identifier: MIT
"""What `/status` shows of peers and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speaker.protocol.events import AddressView, PeerView

if TYPE_CHECKING:
    from speaker.protocol.contest import Contest
    from speaker.protocol.liveness import Peer


def peer(interface: str, seen: Peer, now: float) -> PeerView:
    """Show one peer."""
    return PeerView(
        interface=interface,
        node=seen.node,
        mac=seen.tail.mac,
        alive=seen.alive,
        hears_us=seen.hears_us,
        age_s=now - seen.heard_at,
        interval_s=seen.interval_s,
        well_for_s=max(0.0, now - seen.well_since),
        rank=seen.rank,
        fit=seen.fit,
        claims=sum(claim.held for claim in seen.claims.values()),
    )


def address(interface: str, node: str, contest: Contest) -> AddressView:
    """Show one address to a speaker of this node."""
    return AddressView(
        interface=interface,
        address=contest.address,
        nodes=contest.listed.nodes,
        list_version=contest.listed.list_version,
        candidates=contest.candidates,
        holder=node if contest.held else contest.holder,
        held_here=contest.held,
        why=contest.why,
    )
