# SPDX-License-Identifier: MIT
"""What this speaker says on one interface, and when: beats, asks, greetings, claims."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from speaker.protocol import claimset, const, frame
from speaker.protocol.events import Interface, Rank, SendHeartbeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from speaker.protocol.liveness import Peer, Peers


@dataclasses.dataclass(slots=True)
class Own:
    """What holds for this node on every interface; the core changes it, segments read it."""

    node: str
    versions: tuple[int, int]
    base_interval_s: float
    well_since: float = -math.inf  # its latest recovery
    rank: Rank = Rank.WELL
    vetoed: bool = False
    proxy_well: bool = False
    complete: bool = False
    leaving: bool = False

    @property
    def rank_in_force(self) -> Rank:
        """Who leaves is draining, whatever else it is."""
        return Rank.DRAINING if self.leaving else self.rank


class Voice:
    """Numbers, times and signs the frames of one interface.

    `flags` and `well_since` (infinite: not well) are told to the peers in every frame; the segment
    keeps them up to date.
    """

    def __init__(
        self, interface: Interface, own: Own, codec: frame.Codec, peers: Peers, now: float
    ) -> None:
        self.flags = 0
        self.well_since = math.inf
        self.interval_s = own.base_interval_s
        self.sequence = 0
        self.spoke(now)
        self.next_beat_at = now
        self.may_beat_at = now  # with others
        self._name = interface.name
        self._own = own
        self._codec = codec
        self._peers = peers
        self._announced_interval_s = self.interval_s
        self._beats_until_longer = 0
        self._stalls = 0  # that count
        self._calm_since = now
        self._claim_number = 0
        self._claim_room = const.CLAIM_PART_BYTES
        self._claim_parts = claimset.pack({}, self._claim_room)
        self._claim_sendings = 0
        self._claims: Mapping[bytes, claimset.Claim] = {}
        self._said_at_once = 0
        self._mute = True
        self.resize(interface.mtu)
        self._beat_spoken_at = -math.inf
        self._greeted_at = -math.inf
        self._identity = b""
        self.introduce(interface.mac)

    def introduce(self, mac: bytes) -> None:
        """Speak as this MAC, and name the keys that the codec accepts now."""
        self._identity = frame.identity(
            self._own.node, mac, self._own.versions, self._codec.key_ids
        )

    def beat(self, now: float) -> list[SendHeartbeat]:
        """Say that we are alive and whom we hear."""
        self._beat_spoken_at = now
        heard = frame.pack_heard([(p.epoch, p.sequence) for p in self._peers.alive()])
        return [self._say(frame.Tlv.HEARD, heard, now)]

    def scheduled_beat(self, now: float) -> list[SendHeartbeat]:
        """Beat on time, and repeat with it what may have been lost or is missing."""
        late = now - self.next_beat_at
        usual_s = self.usual_interval_s()
        self._count_stalls(usual_s, now)
        self._adapt_interval(usual_s)
        # What is late catches up; what is early approaches those with whom it beats together.
        earlier = min(max(0.0, -late), const.EARLIER_INTERVALS * self.interval_s)
        due = now if late >= self.interval_s else self.next_beat_at
        self.next_beat_at = due + self.interval_s - earlier
        self.may_beat_at = self.next_beat_at - const.TOGETHER_INTERVALS * self.interval_s
        said = self.beat(now)
        if self._claim_sendings:
            said += self.claims(now)
        wanted = [p.epoch for p in self._peers.alive() if p.claim_number != p.complete_number]
        if wanted:
            said.append(self._say(frame.Tlv.WANTED, b"".join(wanted), now))
        return said + self.greet(now)

    def answer(self, now: float) -> list[SendHeartbeat]:
        """Beat because somebody asks for it, but not too often."""
        if now < self._beat_spoken_at + self._answer_spacing_s():
            return []
        return self.beat(now)

    def ask(self, silent: Sequence[Peer], now: float) -> list[SendHeartbeat]:
        """Ask silent peers for a beat."""
        if not silent:
            return []
        return [self._say(frame.Tlv.ASKED, b"".join(peer.epoch for peer in silent), now)]

    def greet(self, now: float) -> list[SendHeartbeat]:
        """List strangers back, so that they can prove by an echo that they are of today."""
        if now < self._greeted_at + self._answer_spacing_s():
            return []
        strangers = self._peers.strangers()
        if not strangers:
            return []
        self._greeted_at = now
        heard = frame.pack_heard([(beat.epoch, beat.sequence) for beat in strangers])
        return [self._say(frame.Tlv.GREETED, heard, now, [beat.tail for beat in strangers])]

    def resize(self, mtu: int) -> None:
        """Send no frame that is longer than this, in bytes."""
        room = frame.room(self._own.node, min(const.FRAME_BYTES, mtu))
        room = min(const.CLAIM_PART_BYTES, room)
        if room != self._claim_room:
            self._claim_room = room
            if self._claims:
                self.set_claims(self._claims)

    def set_claims(self, claims: Mapping[bytes, claimset.Claim]) -> None:
        """State another claim set from now on."""
        self._claims = claims
        self._claim_number += 1
        self._claim_parts = claimset.pack(claims, self._claim_room)
        self._claim_sendings = const.CLAIM_SENDINGS

    def claims(self, now: float) -> list[SendHeartbeat]:
        """Send the claim set, whole."""
        self._claim_sendings -= 1
        return [self._say(frame.Tlv.CLAIMS, each, now) for each in self._claim_parts]

    def repeat_claims(self) -> None:
        """Send the claim set with the next beat, somebody misses it."""
        self._claim_sendings = max(self._claim_sendings, 1)

    def farewell(self, now: float) -> list[SendHeartbeat]:
        """Last words, so that nobody waits for us to fall silent."""
        self.flags = frame.Flag.LEAVING
        return [said for _ in range(const.FAREWELLS) for said in self.beat(now)]

    def usual_interval_s(self) -> float:
        """Return the interval of a group of this size."""
        base = self._own.base_interval_s
        steps = math.ceil(len(self._peers.alive()) * const.INTERVAL_PER_PEER_S / base - 1e-9)
        return max(1, steps) * base

    def spoke(self, now: float) -> None:
        """Note that our peers hear from us at this moment."""
        self.spoke_at = self._spoke_before = now
        self._said_at_once = 0

    def fence(self, now: float) -> None:
        """Count anew from now; perhaps nobody can hear us."""
        self._mute = True
        self.spoke(now)

    def is_mute(self, now: float) -> bool:
        """Whether the kernel has taken nothing of ours, at first and since a fence.

        It is known of all that was said before `now`.
        """
        return self._mute and not (self._said_at_once > 0 and now > self.spoke_at)

    def unsent(self) -> None:
        """Note that a frame of the last moment in which we spoke went nowhere."""
        self._said_at_once -= 1
        if not self._said_at_once:
            self.spoke_at = self._spoke_before
            self._beats_until_longer = const.LENGTHEN_AFTER_BEATS  # nobody heard it announced

    def _say(
        self, kind: frame.Tlv, value: bytes, now: float, strangers: Iterable[frame.Tail] = ()
    ) -> SendHeartbeat:
        listeners = {(p.tail.versions, p.tail.key_ids) for p in self._peers.alive()}
        listeners.update((tail.versions, tail.key_ids) for tail in strangers)
        self.sequence += 1
        if now > self.spoke_at:
            self._spoke_before, self.spoke_at = self.spoke_at, now
            if self._said_at_once > 0:
                self._mute = False
            self._said_at_once = 0
        self._said_at_once += 1
        self._peers.sent(self.sequence, self.interval_s, now)
        payload = self._codec.encode(
            version=max(
                self._own.versions[0],
                min([self._own.versions[1], *(versions[1] for versions, _ in listeners)]),
            ),
            signer=self._signer([key_ids for _, key_ids in listeners]),
            epoch=self._peers.epoch,
            sequence=self.sequence,
            flags=self.flags | (frame.Flag.PROXY if self._own.proxy_well else 0),
            interval_s=self._announced_interval_s,
            rank=self._own.rank_in_force,
            claim_number=self._claim_number,
            well_for_s=max(0.0, now - self.well_since),
            fields=frame.field(kind, value) + self._identity,
        )
        return SendHeartbeat(self._name, payload)

    def _answer_spacing_s(self) -> float:
        others = len(self._peers.alive()) + self._peers.stranger_count
        return max(const.ANSWER_SPACING_S, others * const.ANSWER_SPACING_PER_PEER_S)

    def _signer(self, accepted: Sequence[tuple[bytes, ...]]) -> bytes:
        for ours in self._codec.key_ids:
            if all(ours in theirs for theirs in accepted):
                return ours
        return self._codec.key_ids[0]

    def _count_stalls(self, usual_s: float, now: float) -> None:
        """Count this beat if we would have been dead before it at the usual interval."""
        silent_s = now - max(self._beat_spoken_at, self._calm_since)
        if silent_s >= const.DEAD_AFTER_INTERVALS * usual_s:
            self._stalls = min(self._stalls + 1, const.STALLS_COUNTED)
            self._calm_since = now
        elif self._stalls and now - self._calm_since >= const.STARVED_FOR_S:
            self._stalls -= 1
            self._calm_since = now

    def _adapt_interval(self, usual_s: float) -> None:
        wanted = usual_s * 2 ** max(0, self._stalls - 1)
        wanted = min(wanted, max(self._own.base_interval_s, const.INTERVAL_MAX_S))
        if wanted <= self.interval_s:
            self.interval_s = self._announced_interval_s = wanted
        elif wanted != self._announced_interval_s:
            self._announced_interval_s = wanted
            self._beats_until_longer = const.LENGTHEN_AFTER_BEATS
        elif self._beats_until_longer:
            self._beats_until_longer -= 1
        else:
            self.interval_s = wanted
