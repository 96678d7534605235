# SPDX-License-Identifier: MIT
"""One interface that has carrier: its peers and its addresses, brought together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from speaker.protocol import claimset, const, election, frame, view
from speaker.protocol.contest import Contest, Look, Round
from speaker.protocol.events import (
    Action,
    AddressView,
    Alone,
    Cleared,
    Interface,
    Listed,
    PeerCause,
    PeerChanged,
    PeerView,
    Probe,
    Probed,
    Release,
    ReleaseCause,
    Silence,
    Take,
)
from speaker.protocol.liveness import Peers
from speaker.protocol.voice import Own, Voice

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


class Segment:
    """Liveness and election on one interface.

    What returns actions returns them in the order to carry out: what is released, the claims on the
    wire, what is taken, the rest.
    """

    def __init__(
        self,
        interface: Interface,
        epochs: Sequence[bytes],
        own: Own,
        codec: frame.Codec,
        now: float,
    ) -> None:
        self.name = interface.name
        self.mac = interface.mac
        self._own = own
        self._codec = codec
        frame_bytes = min(const.FRAME_BYTES, interface.mtu)
        self._peers = Peers(epochs, frame.peers_that_fit(own.node, frame_bytes))
        self._voice = Voice(interface, own, codec, self._peers, now)
        self._contests: dict[bytes, Contest] = {}
        self._nowhere: dict[bytes, claimset.Claim] = {}
        self._claims: dict[bytes, claimset.Claim] = {}
        self._claims_stale = False  # a list or a holding has changed since
        self._declines = False  # any of the addresses
        self._listens = True
        self._listens_since = now
        self._awaits_anybody = True
        self._cold_until = now + const.COLD_START_S
        self._well_since = now
        self._alone = False
        self._silence_at = math.inf
        self._look_at = now
        self._stale_at = math.inf  # since when every address is to be looked at

    @property
    def next_deadline(self) -> float:
        """When `tick` is due at the latest."""
        return min(self._voice.next_beat_at, self._silence_at, self._look_at, self._stale_at)

    @property
    def fence_at(self) -> float:
        """When our peers may have declared us dead at the earliest."""
        return self._voice.spoke_at + const.DEAD_AFTER_INTERVALS * self._voice.interval_s

    @property
    def interval_s(self) -> float:
        """Seconds between our heartbeats."""
        return self._voice.interval_s

    @property
    def is_empty(self) -> bool:
        """Whether no list names this node here and nothing is held."""
        return not self._contests

    @property
    def hears_proxy(self) -> bool:
        """Whether a live peer says that its node's service proxy answers."""
        return self._peers.any_reports_proxy()

    def receive(self, payload: bytes, now: float) -> Sequence[Action]:
        """Take in a frame; raises DropError if it must change nothing.

        Claims are heeded at once. What changes who may hold anything is, once for all that were
        read with it, at the next `tick`, which is due now: a group that meets again has as many
        changes as peers.
        """
        beat = self._codec.decode(payload)
        peer, changed = self._peers.receive(beat, now)
        tail = beat.tail
        if tail.plain and not changed and not peer.silent_s:
            return self._beat(now) if now >= self._voice.may_beat_at else ()
        actions: list[Action] = []
        if peer.silent_s:
            actions.append(Silence(self.name, peer.node, peer.silent_s))
        concerned: Iterable[bytes] = ()
        born = peer.known_since == now and peer.alive
        if tail.claims is not None:
            concerned = peer.absorb(tail.claims, beat.claim_number)
        if frame.names_epoch(tail.wanted, self._peers.epoch):
            self._voice.repeat_claims()
        if changed:
            self._stale_at = min(self._stale_at, now)
            if born:
                self._silence_at = self._peers.next_deadline()
                actions.append(PeerChanged(self.name, peer.node, True, PeerCause.HEARD))
            elif not peer.alive:
                actions.append(PeerChanged(self.name, peer.node, False, PeerCause.LEAVING))
        if born or frame.names_epoch(tail.asked, self._peers.epoch):
            actions += self._voice.answer(now)
        if concerned:
            return [*self._look(concerned, now), *actions]
        return actions

    def greet(self, now: float) -> Sequence[Action]:
        """Answer a stranger whose frame `receive` has just refused."""
        return self._voice.greet(now)

    def tick(self, now: float, read_at: float | None) -> Sequence[Action]:
        """Beat, ask, bury and look again, each if it is due.

        `read_at`: what had come by then has been received; None if that is not known of any
        time, then only beat.
        """
        if read_at is None:
            return self._beat(now) if now >= self._voice.next_beat_at else ()
        asked, dead = self._peers.silent(now, read_at)
        actions: list[Action] = []
        if self._listens:
            self._listen(now)
        ripe = self._is_fit() and not self._voice.flags & frame.Flag.FIT
        if dead or ripe or now >= self._stale_at:
            self._stale_at = math.inf
            actions += self._look(self._contests, now)
        elif now >= self._look_at:
            due = [key for key, contest in self._contests.items() if now >= contest.look_at]
            actions += self._look(due, now)
        actions += [PeerChanged(self.name, p.node, False, PeerCause.SILENT) for p in dead]
        actions += self._voice.ask(asked, now)
        if now >= self._voice.next_beat_at:
            actions += self._beat(now)
        self._silence_at = self._peers.next_deadline()
        return actions

    def set_children(
        self,
        children: Iterable[Listed],
        now: float,
        *,
        known: Collection[bytes],
        nowhere: Iterable[Listed],
    ) -> Sequence[Action]:
        """Take over the lists; an address that is not in `children` is released at once.

        `known` are the addresses of all children, also those that are not for this interface.
        `nowhere` are listed for this node, which can announce them on no interface: it declines
        them, or everybody would wait for its turn.
        """
        gone = dict(self._contests)
        concerned: list[bytes] = []
        for listed in children:
            key = listed.address.packed
            contest = gone.pop(key, None)
            if contest is not None and contest.listed == listed:
                continue
            concerned.append(key)
            position = election.position(listed, self._own.node)
            if contest is not None and (contest.held or position != claimset.UNLISTED):
                contest.relist(listed, position)
            elif position != claimset.UNLISTED:
                self._contests[key] = Contest(listed.address, listed, position, now)
            elif contest is not None:
                gone[key] = contest
        actions: list[Action] = []
        for key, contest in gone.items():
            del self._contests[key]
            cause = ReleaseCause.LINK_DOWN if key in known else ReleaseCause.DELETED
            actions += self._release(contest, cause)
            actions += self._clear(contest)
        declined = {each.address.packed: self._decline(each) for each in nowhere}
        if concerned or gone or declined != self._nowhere:
            self._nowhere = declined
            self._claims_stale = True
            self._declines = any(contest.listed.declined for contest in self._contests.values())
            actions += self._look(concerned, now)
        return actions

    def changed(self, now: float) -> Sequence[Action]:
        """Something about this node changed: look at every address and tell the others at once."""
        return [*self._look(self._contests, now), *self._voice.beat(now)]

    def resize(self, mtu: int) -> None:
        """Send no frame that is longer than this, in bytes."""
        self._voice.resize(mtu)
        self._peers.most = frame.peers_that_fit(self._own.node, min(const.FRAME_BYTES, mtu))

    def set_keys(self) -> None:
        """Name the keys that the codec accepts now."""
        self._voice.introduce(self.mac)

    def probed(self, outcomes: Probed, now: float) -> Sequence[Action]:
        """Take in the outcomes of probes."""
        actions: list[Action] = []
        concerned: list[bytes] = []
        ours = {peer.tail.mac for peer in self._peers}
        for address, claimed_by in outcomes.answers.items():
            contest = self._contests.get(address.packed)
            if contest is None or not contest.probing:
                continue
            concerned.append(address.packed)
            contest.probing = False
            strangers = (mac for mac in outcomes.rivals.get(address, ()) if mac not in ours)
            answered_by = claimed_by or min(strangers, default=None)
            if answered_by is None:
                contest.found_free = True
                actions += self._clear(contest)
            elif answered_by in ours:
                contest.probe_at = now + const.PASSED_OVER_AFTER_S
            else:
                contest.probe_at = now + const.PROBE_AGAIN_S
                report = self._round(now).judge(contest, self.name, answered_by)
                if report is not None and contest.reported != report:
                    contest.reported = report
                    actions.append(report)
        return [*self._look(concerned, now), *actions] if concerned else ()

    def fence(self, now: float) -> Sequence[Action]:
        """Hold nothing, believe nobody, listen anew."""
        # Who has long been alone has no reason to wait for anybody now.
        self._awaits_anybody = self._peers.any_alive() or (self._listens and self._awaits_anybody)
        self._listens = True
        self._listens_since = self._well_since = now
        self._voice.fence(now)  # nothing is held that an older time could be compared with
        actions = self._stop(ReleaseCause.STALLED)
        for contest in self._contests.values():
            contest.probing = False
            contest.end_turns()
        # The beat that is due goes out with it. Otherwise it would go out before this one has been
        # handed to the kernel, and be taken for proof that the kernel takes them.
        return [*actions, *self._look(self._contests, now), *self._voice.scheduled_beat(now)]

    def close(self, cause: ReleaseCause, now: float) -> Sequence[Action]:
        """Release everything; say farewell unless the link is down."""
        # Written for the peers, in the version and with the key that they read, before they are
        # forgotten; sent once nothing is held.
        farewell = self._voice.farewell(now) if cause is not ReleaseCause.LINK_DOWN else []
        actions = self._stop(cause)
        for contest in self._contests.values():
            actions += self._clear(contest)
        self._contests.clear()
        if self._alone:
            actions.append(Alone(self.name, alone=False, abruptly=False))
        return [*actions, *farewell]

    def unsent(self) -> None:
        """Take note that the kernel did not take the last frame."""
        self._voice.unsent()

    def count_peers(self) -> int:
        """Return how many peers are alive."""
        return len(self._peers.alive())

    def is_free_to_leave(self, now: float) -> bool:
        """Whether nothing is held here that somebody else could still take over."""
        standings = self._round(now).standings
        return not any(
            contest.held and election.candidates(contest.listed, key, standings)
            for key, contest in self._contests.items()
        )

    def view_peers(self, now: float) -> list[PeerView]:
        """Show the peers as in `/status`, dead ones that are remembered included."""
        return [view.peer(self.name, peer, now) for peer in self._peers]

    def view_addresses(self) -> list[AddressView]:
        """Show the addresses as in `/status`, as of when each was last looked at."""
        return [
            view.address(self.name, self._own.node, contest) for contest in self._contests.values()
        ]

    def _beat(self, now: float) -> Sequence[Action]:
        self._peers.expire(now)
        said = self._voice.scheduled_beat(now)
        # Whoever was heard since is not silent at the time that was reckoned with: one wake less.
        self._silence_at = self._peers.next_deadline()
        return said

    def _is_fit(self) -> bool:
        own = self._own
        return own.complete and not own.vetoed and not own.leaving and not self._listens

    def _listen(self, now: float) -> None:
        """Go on listening while somebody may be alive, and hold what we would take, unheard.

        After a dead-interval that is who is starved, and may be silent for longer: somebody whom
        another peer hears, or anybody, where nobody was heard.
        """
        if self._voice.is_mute(now):
            # Who can say nothing hears nobody, as nobody proves to be of today by naming it.
            self._listens_since = now
            return
        if now < self._listened_at(1):
            return
        doubtful = self._peers.names_unheard() or (self._awaits_anybody and self._is_alone())
        self._listens = doubtful and now < self._listened_at(const.STARVED_TIMES)

    def _listened_at(self, times: int) -> float:
        listened_s = times * const.DEAD_AFTER_INTERVALS * self._voice.usual_interval_s()
        return self._listens_since + listened_s

    def _is_alone(self) -> bool:
        """Whether nobody is heard though lists name others."""
        return not self._peers.any_alive() and any(
            node != self._own.node
            for contest in self._contests.values()
            for node in contest.listed.nodes
        )

    def _look(self, keys: Iterable[bytes], now: float) -> list[Action]:
        """Look at these addresses; the heart of the segment."""
        rest = self._update_standing(now)
        released: list[Action] = []
        taken: list[Action] = []
        round_ = self._round(now)
        for key in list(keys):
            contest = self._contests.get(key)
            if contest is None:
                continue
            if contest.held:
                loss = round_.keep(key, contest)
                if loss is None:
                    continue
                released += self._release(contest, loss.cause, loss.to)
                if contest.position == claimset.UNLISTED:
                    del self._contests[key]
                    continue
                # What was lost may be ours again later, after the fail-back delay for one.
            step = round_.consider(key, contest)
            if step is Look.PROBE:
                contest.probing = True
                rest.append(Probe(contest.address, self.name))
            elif step is not Look.WAIT:
                taken.append(Take(contest.address, self.name, step, contest.last_holder))
                contest.take(self._own.node, now + self._voice.interval_s)
                self._claims_stale = True
            if contest.proven:
                rest += self._clear(contest)
        said = self._state_claims(now)
        self._look_at = min(
            (contest.look_at for contest in self._contests.values()), default=math.inf
        )
        if self._listens:
            times = 1 if now < self._listened_at(1) else const.STARVED_TIMES
            # Nothing tells that the kernel takes frames, or that nobody unheard is named any more.
            again_at = now + self._voice.usual_interval_s()
            self._look_at = min(self._look_at, self._listened_at(times), again_at)
        return [*released, *said, *taken, *rest]

    def _state_claims(self, now: float) -> Sequence[Action]:
        if not self._claims_stale:
            return ()
        self._claims_stale = False
        claims = self._nowhere | {
            key: contest.claim()
            for key, contest in self._contests.items()
            if contest.held or (contest.listed.declined and contest.position != claimset.UNLISTED)
        }
        if claims == self._claims:
            return ()
        self._claims = claims
        self._voice.set_claims(claims)
        return self._voice.claims(now)

    def _update_standing(self, now: float) -> list[Action]:
        """Bring up to date what we say of ourselves in every frame."""
        self._voice.flags = frame.Flag.FIT if self._is_fit() else 0
        alone = self._is_alone()
        actions: list[Action] = []
        if alone is not self._alone:
            self._alone = alone
            self._well_since = now
            abruptly = alone and self._peers.count_silenced(now) > 1
            actions.append(Alone(self.name, alone, abruptly))
        self._voice.well_since = math.inf if alone else max(self._well_since, self._own.well_since)
        return actions

    def _round(self, now: float) -> Round:
        # The last of a node's peers speaks for it: one that is fit, then the latest.
        alive = sorted(self._peers.alive(), key=lambda peer: (peer.fit, peer.known_since))
        heard = any(peer.hears_us for peer in alive)
        # A deaf node hears nobody only once it has found whoever beats most rarely dead.
        longest_s = max([self._voice.interval_s, *(peer.interval_s for peer in alive)])
        deaf_after_s = const.DEAD_AFTER_INTERVALS * longest_s
        me = election.Standing(
            node=self._own.node,
            epoch=self._peers.epoch,
            rank=self._own.rank_in_force,
            fit=self._is_fit(),
            well_since=self._voice.well_since,
            hears_us=True,
            deaf_since=math.inf,
            claims=self._declined(),
        )
        others = [
            election.Standing(
                node=peer.node,
                epoch=peer.epoch,
                rank=peer.rank,
                fit=peer.fit,
                well_since=peer.well_since,
                hears_us=peer.hears_us,
                deaf_since=peer.deaf_since,
                claims=peer.claims,
            )
            for peer in alive
            # Who hears nobody is right for its own side of a split at best, not for ours. If it is
            # the only one left to hear us, that may pass; otherwise it is deaf, or we are mute: for
            # an address that it holds, nobody but us can hear or nobody but it be heard.
            if peer.hears_us or peer.heard or not (heard or now >= peer.deaf_since + deaf_after_s)
        ]
        return Round(
            now=now,
            me=me,
            standings={**{other.node: other for other in others}, me.node: me},
            others=others,
            heard_nodes=self._peers.heard_nodes,
            left_nodes=self._peers.left_nodes(),
            settled_at=max(
                (
                    peer.known_since + const.CLAIMS_AWAITED_S
                    for peer in alive
                    if peer.claim_number != peer.complete_number
                ),
                default=-math.inf,
            ),
            # With somebody here who has long been well this is no power cut: do not wait.
            cold_until=-math.inf
            if any(now - peer.well_since >= const.COLD_START_S for peer in alive)
            else self._cold_until,
            interval_s=self._voice.interval_s,
            deaf_after_s=deaf_after_s,
        )

    def _declined(self) -> dict[bytes, claimset.Claim]:
        if not self._declines:
            return {}
        return {
            key: contest.claim()
            for key, contest in self._contests.items()
            if contest.listed.declined
        }

    def _decline(self, listed: Listed) -> claimset.Claim:
        position = election.position(listed, self._own.node)
        return claimset.Claim(listed.created, listed.list_version, position, False, True)

    def _stop(self, cause: ReleaseCause) -> list[Action]:
        actions: list[Action] = []
        for contest in self._contests.values():
            actions += self._release(contest, cause)
        actions += [
            PeerChanged(self.name, peer.node, False, PeerCause.FORGOTTEN)
            for peer in self._peers.forget_all()
        ]
        self._silence_at = math.inf
        return actions

    def _release(
        self, contest: Contest, cause: ReleaseCause, to: str | None = None
    ) -> list[Action]:
        if not contest.held:
            return []
        contest.release(to)
        self._claims_stale = True
        return [Release(contest.address, self.name, cause, to)]

    def _clear(self, contest: Contest) -> list[Action]:
        if contest.reported is None:
            return []
        contest.reported = None
        return [Cleared(contest.address, self.name)]
