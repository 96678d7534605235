# SPDX-License-Identifier: MIT
"""Who is alive on one segment: proof of freshness, asks, witnesses, death.

A peer is one start of one speaker on one interface, named by its epoch alone: a speaker that
starts again is a new peer, and the old one falls silent.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from speaker.protocol import claimset, const, frame
from speaker.protocol.events import Rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    _Claims = Mapping[bytes, claimset.Claim]

# As plain integers: operators of enumerations are too slow for every frame.
_RANKS = tuple(Rank)
_LEAVING = frame.Flag.LEAVING.value
_STANDING = (frame.Flag.FIT | frame.Flag.LEAVING).value


@dataclasses.dataclass(slots=True, eq=False)
class Peer:
    """What is known of a peer; times on our own monotonic clock."""

    epoch: bytes
    node: str
    known_since: float
    tail: frame.Tail
    alive: bool = False  # a dead one is remembered, for its MAC and against its replayed frames
    sequence: int = -1
    heard_at: float = -math.inf
    interval_s: float = const.INTERVAL_S
    rank: Rank = Rank.WELL
    flags: int = 0
    well_since: float = math.inf
    witnessed_at: float = -math.inf
    witnessed_sequence: int = -1
    asks: int = 0  # since its last sign of life
    asked_at: float = -math.inf
    # How long it had been when its last frame came, if it had to be asked; as at INTERVAL_S.
    silent_s: float = 0.0
    died_at: float = -math.inf  # of silence
    heard: bytes = b""  # whom it hears, packed as received
    hears_us: bool = False
    deaf_since: float = math.inf  # since when it lists others but not us
    complete_number: int = 0  # of the newest claim set received whole; set 0 is empty
    claim_number: int = 0  # of the newest claim set it speaks of
    claims: dict[bytes, claimset.Claim] = dataclasses.field(default_factory=dict)
    incoming: dict[int, claimset.Part] = dataclasses.field(default_factory=dict)
    incoming_number: int = -1

    @property
    def fit(self) -> bool:
        """Whether it says that it may take addresses."""
        return bool(self.flags & frame.Flag.FIT)

    @property
    def seen_at(self) -> float:
        """When it last gave a sign of life, to us or to a witness."""
        return max(self.heard_at, self.witnessed_at)

    def absorb(self, part: claimset.Part, number: int) -> set[bytes]:
        """Take in a part of claim set `number`; return the addresses whose claim changed.

        A claim counts from the first part that states it, a missing one only in a whole set.
        """
        if number == self.complete_number:
            return set()
        if number != self.incoming_number:
            self.incoming_number = number
            self.incoming = {}
        self.incoming[part.part] = part
        before = self.claims
        if len(self.incoming) < part.parts:
            # A large set has a hundred parts: what one of them costs must not grow with the set.
            changed = _changed(before, part.claims)
            before.update(part.claims)
            return changed
        self.claims = {
            address: claim
            for each in self.incoming.values()
            for address, claim in each.claims.items()
        }
        self.complete_number = number
        self.incoming = {}
        return _changed(before, self.claims) | (before.keys() - self.claims.keys())


class Peers:
    """The peers on one interface.

    A frame is believed only if it proves to be of today: it echoes our epoch with a sequence that
    we sent lately, or a peer believed already lists its sender. Both prove that a recording is none
    without a clock, and the second admits a peer that does not hear us. The last one of `epochs` is
    ours on this interface; the others were, and may still be listed by peers.
    """

    def __init__(self, epochs: Sequence[bytes], most: int = const.PEERS_MAX) -> None:
        self.epoch = epochs[-1]
        self._ours = frozenset(epochs)
        self.most = most
        self._peers: dict[bytes, Peer] = {}
        self._strangers: dict[bytes, frame.Frame] = {}
        self._fresh_from = self._fresh_next = 0
        self._turned_at = -math.inf
        self.heard_nodes: set[str] = set()

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers.values())

    def alive(self) -> list[Peer]:
        """List the peers that are alive, first heard first."""
        return [peer for peer in self._peers.values() if peer.alive]

    def any_alive(self) -> bool:
        """Whether anybody at all is alive."""
        return any(peer.alive for peer in self._peers.values())

    def any_reports_proxy(self) -> bool:
        """Whether somebody alive says that its service proxy answers."""
        return any(peer.alive and peer.flags & frame.Flag.PROXY for peer in self._peers.values())

    def count_silenced(self, now: float) -> int:
        """How many died of silence within the last two dead-intervals, the longest of theirs.

        Who is heard no more at one instant dies the later, the more rarely it beat.
        """
        turns = 2 * const.DEAD_AFTER_INTERVALS
        died = [(now - peer.died_at, turns * peer.interval_s) for peer in self._peers.values()]
        longest_s = max((for_s for ago_s, for_s in died if ago_s <= for_s), default=0.0)
        return sum(ago_s <= longest_s for ago_s, _ in died)

    def names_unheard(self) -> bool:
        """Whether somebody alive lists one that is not alive here."""
        alive = self.alive()
        named = {epoch for peer in alive for epoch in frame.heard_epochs(peer.heard)}
        return not named <= self._ours.union(peer.epoch for peer in alive)

    def left_nodes(self) -> set[str]:
        """Nodes whose last word was a farewell."""
        last = {peer.node: peer.flags for peer in self._peers.values()}
        return {node for node, flags in last.items() if flags & frame.Flag.LEAVING}

    def strangers(self) -> list[frame.Frame]:
        """Whom to greet, by the last frame of each; each once, who is there speaks again."""
        strangers = list(self._strangers.values())
        self._strangers.clear()
        return strangers

    @property
    def stranger_count(self) -> int:
        """How many wait to be greeted."""
        return len(self._strangers)

    def sent(self, sequence: int, interval_s: float, now: float) -> None:
        """Note our own sequence; an echo is fresh for one to two turns of `FRESH_INTERVALS`."""
        if now - self._turned_at >= const.FRESH_INTERVALS * interval_s:
            self._fresh_from, self._fresh_next = self._fresh_next, sequence
            self._turned_at = now

    def receive(self, beat: frame.Frame, now: float) -> tuple[Peer, bool]:
        """Take in an authentic frame; return its sender and whether its standing changed.

        Standing is all that can change who should hold an address except claims: life, rank,
        fitness, hearing us, hearing anybody. Raises DropError if the frame must change nothing.
        """
        epoch = beat.epoch
        if epoch == self.epoch:
            raise frame.DropError(frame.Drop.OWN)
        peer = self._peers.get(epoch)
        if peer is not None and beat.sequence <= peer.sequence:
            raise frame.DropError(frame.Drop.REPLAYED)
        listed = beat.tail.greeted if beat.heard is None else beat.heard
        echo = frame.heard_sequence(listed, self.epoch)
        leaving = bool(beat.flags & _LEAVING)
        rank = min(beat.rank, Rank.DRAINING)
        if peer is None or not peer.alive:
            if leaving or not (self._is_fresh(echo) or self._is_vouched_for(epoch, now)):
                self._note_stranger(beat)
                raise frame.DropError(frame.Drop.UNPROVEN)
            peer = self._admit(peer, beat, now)
            changed = True
        else:
            changed = rank != peer.rank or bool((beat.flags ^ peer.flags) & _STANDING)
        peer.sequence = beat.sequence
        if peer.asks and peer.alive:
            peer.silent_s = (now - peer.heard_at) * const.INTERVAL_S / peer.interval_s
        else:
            peer.silent_s = 0.0
        peer.heard_at = now
        peer.asks = 0
        peer.alive = not leaving
        peer.flags = beat.flags
        peer.interval_s = min(beat.interval_s, const.INTERVAL_MAX_S)
        peer.well_since = now - beat.well_for_s
        peer.claim_number = beat.claim_number
        peer.tail = beat.tail
        if changed:
            peer.rank = _RANKS[rank]
        if beat.heard is not None:
            if (not beat.heard) is not (not peer.heard):
                changed = True
            peer.heard = beat.heard
            if echo is None and peer.hears_us:
                peer.deaf_since = now
        if (echo is not None or beat.heard is not None) and peer.hears_us is (echo is None):
            peer.hears_us = echo is not None
            changed = True
        return peer, changed

    def silent(self, now: float, read_at: float) -> tuple[list[Peer], list[Peer]]:
        """Return the peers to ask for a sign of life now, and those that are dead as of now.

        They were silent until `read_at`: what has come since may not have been received. One
        frame asks them all, so with the first goes whoever would be asked soon.
        """
        due: list[Peer] = []
        soon: list[Peer] = []
        for peer in self._peers.values():
            if not peer.alive:
                continue
            left_s = _next_step(peer) - read_at
            if left_s <= 0:
                due.append(peer)
            elif not peer.asks and left_s <= const.ASK_TOGETHER_INTERVALS * peer.interval_s:
                soon.append(peer)
        asked: list[Peer] = []
        dead: list[Peer] = []
        for peer in due:
            # What a witness told may be old news: then there is no more time than before.
            if self._is_witnessed(peer) and read_at < _next_step(peer):
                continue
            if peer.asks < const.ASKS:
                asked.append(peer)
            else:
                peer.alive = False
                peer.died_at = now
                dead.append(peer)
        if asked:
            asked += [peer for peer in soon if not self._is_witnessed(peer)]
        for peer in asked:
            peer.asks += 1
            peer.asked_at = now
        return asked, dead

    def next_deadline(self) -> float:
        """When `silent` has something to say at the earliest, if nobody is heard until then."""
        return min((_next_step(p) for p in self._peers.values() if p.alive), default=math.inf)

    def forget_all(self) -> list[Peer]:
        """Believe nobody alive until heard anew; return who was alive."""
        alive = self.alive()
        for peer in alive:
            peer.alive = False
        return alive

    def expire(self, now: float) -> None:
        """Drop the memory of peers that have been dead for long."""
        for peer in list(self._peers.values()):
            if not peer.alive and now - peer.heard_at > const.REMEMBERED_S:
                del self._peers[peer.epoch]

    def _is_fresh(self, echo: int | None) -> bool:
        if echo is None:
            return False
        return echo == self._fresh_from & frame.SEQUENCE_MASK or frame.is_newer(
            echo, self._fresh_from
        )

    def _is_vouched_for(self, epoch: bytes, now: float) -> bool:
        return any(
            peer.alive
            and now - peer.heard_at < const.DEAD_AFTER_INTERVALS * peer.interval_s
            and frame.heard_sequence(peer.heard, epoch) is not None
            for peer in self._peers.values()
        )

    def _note_stranger(self, beat: frame.Frame) -> None:
        self._strangers.pop(beat.epoch, None)
        if len(self._strangers) >= const.STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
        self._strangers[beat.epoch] = beat

    def _admit(self, peer: Peer | None, beat: frame.Frame, now: float) -> Peer:
        if peer is None:
            if len(self._peers) >= self.most:
                self._drop_oldest_dead()
            peer = Peer(beat.epoch, beat.tail.node, now, beat.tail)
            self._peers[beat.epoch] = peer
        elif peer.complete_number != beat.claim_number:
            peer.claims = {}  # what it held before it fell silent
        peer.known_since = now
        peer.hears_us = False
        peer.deaf_since = now
        self.heard_nodes.add(peer.node)
        return peer

    def _drop_oldest_dead(self) -> None:
        dead = [peer for peer in self._peers.values() if not peer.alive]
        if not dead:
            raise frame.DropError(frame.Drop.TOO_MANY_PEERS)
        del self._peers[min(dead, key=lambda peer: peer.heard_at).epoch]

    def _is_witnessed(self, peer: Peer) -> bool:
        """Whether somebody alive lists a newer sequence of the peer than we know of."""
        newest = max(peer.sequence, peer.witnessed_sequence)
        witnessed = False
        for witness in self._peers.values():
            if not witness.alive or witness is peer:
                continue
            listed = frame.heard_sequence(witness.heard, peer.epoch)
            if listed is None or not frame.is_newer(listed, newest):
                continue
            if witness.heard_at > peer.heard_at + const.WITNESSED_FOR_INTERVALS * peer.interval_s:
                continue
            newest += (listed - newest) & frame.SEQUENCE_MASK
            peer.witnessed_sequence = newest
            peer.witnessed_at = witness.heard_at
            peer.asks = 0
            witnessed = True
        return witnessed


def _changed(before: _Claims, now: _Claims) -> set[bytes]:
    """Return of which addresses something else is stated now; most claims are the same object."""
    return {a for a, c in now.items() if (old := before.get(a)) is not c and old != c}


def _next_step(peer: Peer) -> float:
    """When the next ask to a silent peer, or its death, is due."""
    unit = peer.interval_s
    if peer.asks == 0:
        return peer.seen_at + const.ASK_AFTER_INTERVALS * unit
    if peer.asks < const.ASKS:
        return peer.asked_at + const.ASK_SPACING_INTERVALS * unit
    return max(
        peer.seen_at + const.DEAD_AFTER_INTERVALS * unit,
        peer.asked_at + const.LAST_ASK_INTERVALS * unit,
    )
