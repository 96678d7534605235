# SPDX-License-Identifier: MIT
"""One address on one segment: keep it, give it up, take it, or whom to wait for.

A `Round` is what is known at one instant; it looks at a `Contest` and says what to do. All waiting
is a time in `Contest.look_at`, when to look again if nothing else happens.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from typing import TYPE_CHECKING

from speaker.protocol import const, election
from speaker.protocol.claimset import Claim
from speaker.protocol.events import (
    Address,
    Blocked,
    InUse,
    Listed,
    ReleaseCause,
    TakeCause,
)

if TYPE_CHECKING:
    import collections.abc
    from collections.abc import Mapping, Sequence

    from speaker.protocol.election import Standing


@dataclasses.dataclass(slots=True, eq=False)
class Contest:
    """What this speaker remembers of an address that its lists give to it or that it holds."""

    address: Address
    listed: Listed
    position: int
    since: float  # when this speaker was first told of it
    held: bool = False
    # One of us, ourselves included, was heard to hold it: nobody else can own it.
    proven: bool = False
    last_holder: str | None = None
    give_up_by: float = math.inf
    due: str | None = None  # the candidate whose turn it is, while the address can be taken
    due_since: float = 0.0
    passed_over: set[str] = dataclasses.field(default_factory=set)
    probing: bool = False
    probe_at: float = -math.inf  # not before
    found_free: bool = False  # a probe in this vacancy went unanswered
    reported: Blocked | InUse | None = None  # and not Cleared yet
    look_at: float = math.inf
    candidates: tuple[str, ...] = ()
    holder: str | None = None  # another node, as far as is known
    why: str = ""

    def relist(self, listed: Listed, position: int) -> None:
        """Take over a changed child."""
        if listed.nodes != self.listed.nodes:
            self.end_turns()
        self.listed = listed
        self.position = position

    def end_turns(self) -> None:
        """Forget whose turn it was: the address is held, or a new list starts from its top."""
        self.due = None
        self.passed_over.clear()
        self.found_free = False

    def take(self, node: str, look_at: float) -> None:
        """Hold it from now on."""
        self.held = self.proven = True
        self.holder = self.last_holder = node
        self.give_up_by = math.inf
        self.look_at = look_at
        self.why = "held here"
        self.end_turns()

    def release(self, to: str | None) -> None:
        """Hold it no longer."""
        self.held = False
        self.holder = to
        self.last_holder = to or self.last_holder
        self.give_up_by = math.inf
        self.end_turns()

    def claim(self) -> Claim:
        """Say what this node says of the address on the wire."""
        listed = self.listed
        return Claim(listed.created, listed.list_version, self.position, self.held, listed.declined)


class Look(enum.Enum):
    """What a round can ask for besides taking and releasing."""

    WAIT = enum.auto()
    PROBE = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """Release the address."""

    cause: ReleaseCause
    to: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """What is known now. `standings` has one entry a node, ours too; `others` every peer.

    Nothing that nobody holds is taken before `settled_at`, and before `cold_until` nothing for
    which a node that is unheard or not ready is listed earlier.
    """

    now: float
    me: Standing
    standings: Mapping[str, Standing]
    others: Sequence[Standing]
    heard_nodes: collections.abc.Set[str]
    left_nodes: collections.abc.Set[str]
    settled_at: float
    cold_until: float
    interval_s: float
    deaf_after_s: float  # without us in its list

    def keep(self, key: bytes, contest: Contest) -> Loss | None:
        """Look at an address that we hold: whether to give it up, and to whom."""
        contest.look_at = math.inf
        delay = contest.listed.failback_delay_s
        rival = election.holder(key, self.others, delay, self.now)
        if rival is not None:
            node = rival[0].node
            if rival[0].hears_us:
                lost = election.strength(*rival, delay, self.now) > election.strength(
                    self.me, contest.claim(), delay, self.now
                )
            else:
                # It will never hear that we hold it: one must yield, and only we can.
                lost = self.now >= self._judged_deaf_at(rival[0])
            if lost:
                contest.why = f"{node} claims it"
                return Loss(ReleaseCause.CLAIMED, node)
            contest.look_at = self.now + self.interval_s
        order = election.candidates(contest.listed, key, self.standings)
        contest.candidates = tuple(standing.node for standing in order)
        if self.me in order:
            contest.give_up_by = math.inf
            contest.why = "held here"
            return None
        if contest.give_up_by == math.inf:
            contest.give_up_by = self.now + const.GIVEN_UP_AFTER_S
        if self.now >= contest.give_up_by:
            contest.why = "given up: nobody took it over"
            return Loss(ReleaseCause.NOT_TAKEN_OVER, None)
        contest.look_at = min(contest.look_at, contest.give_up_by)
        contest.why = "held here until another node claims it"
        return None

    def consider(self, key: bytes, contest: Contest) -> TakeCause | Look:
        """Look at an address that we do not hold: whether to take it, to probe or to wait."""
        contest.look_at = math.inf
        listed = contest.listed
        order = election.candidates(listed, key, self.standings)
        contest.candidates = tuple(standing.node for standing in order)
        holding = election.holder(key, self.others, listed.failback_delay_s, self.now)
        contest.holder = None
        if holding is None:
            return self._fill_vacancy(contest, order)
        incumbent, claim = holding
        contest.proven = True
        contest.holder = contest.last_holder = incumbent.node
        contest.why = f"{incumbent.node} holds it"
        newer = (claim.created, claim.list_version) > (listed.created, listed.list_version)
        # Another interface of this node on the same segment, or its speaker's former self.
        ours = incumbent.node == self.me.node
        if newer or ours or not incumbent.hears_us or self.me not in order:
            contest.end_turns()
            judged_at = self._judged_deaf_at(incumbent)
            if not incumbent.hears_us and self.now < judged_at:
                contest.look_at = judged_at
            return Look.WAIT
        if incumbent.node not in contest.candidates or incumbent.rank > self.me.rank:
            return TakeCause.HANDOVER if self._is_our_turn(contest, order) else Look.WAIT
        contest.end_turns()
        if order[0] is not self.me or contest.position != 0:
            return Look.WAIT
        # An interval more, so that by everybody's reckoning the delay has passed when we claim.
        well_at = self.me.well_since + listed.failback_delay_s + self.interval_s
        if self.now >= well_at:
            return TakeCause.FAILBACK
        contest.look_at = well_at
        contest.why += "; this node is preferred and waits for the fail-back delay"
        return Look.WAIT

    def _fill_vacancy(self, contest: Contest, order: Sequence[Standing]) -> TakeCause | Look:
        contest.why = "nobody holds it"
        if self.me not in order:
            return Look.WAIT
        unheard = self.unheard_earlier(contest)
        if unheard or self._is_awaited(contest):
            # A node that has just joined may know less of it than we do, and not speak yet.
            anew = contest.since + const.PASSED_OVER_AFTER_S
            wait_until = max(self.settled_at, self.cold_until, anew)
        else:
            wait_until = self.settled_at
        if self.now < wait_until:
            contest.look_at = wait_until
            return Look.WAIT
        if not self._is_our_turn(contest, order):
            return Look.WAIT
        doubtful = not contest.listed.announced or self.may_be_blocked(contest) is not None
        must_probe = not contest.proven and doubtful
        if must_probe and not contest.found_free:
            if contest.probing:
                return Look.WAIT
            if self.now < contest.probe_at:
                contest.look_at = contest.probe_at
                return Look.WAIT
            return Look.PROBE
        if contest.last_holder in (None, self.me.node):
            return TakeCause.VACANT
        if contest.last_holder in self.standings or contest.last_holder in self.left_nodes:
            return TakeCause.HOLDER_LEFT
        return TakeCause.HOLDER_DIED

    def _is_awaited(self, contest: Contest) -> bool:
        """Whether a node listed before us is there but not ready yet, as after a power cut."""
        earlier = (self.standings.get(node) for node in contest.listed.nodes[: contest.position])
        return any(standing is not None and not standing.fit for standing in earlier)

    def unheard_earlier(self, contest: Contest) -> str | None:
        """Return the first node listed before us that was never heard on this segment."""
        for node in contest.listed.nodes[: contest.position]:
            if node not in self.heard_nodes:
                return node
        return None

    def may_be_blocked(self, contest: Contest) -> str | None:
        """Return a node that may hold it although we do not hear of it: its heartbeats are blocked.

        That is one listed before us that was never heard here, or any other one if none was.
        """
        earlier = self.unheard_earlier(contest)
        others = [node for node in contest.listed.nodes if node != self.me.node]
        if earlier is not None or not self.heard_nodes.isdisjoint(others):
            return earlier
        return others[0] if others else None

    def judge(self, contest: Contest, interface: str, answered_by: bytes) -> Blocked | InUse | None:
        """Return what to report of an address for which a probe was answered by no live peer.

        None if one of us has announced it before and all are heard now: then it is ours to take.
        """
        unheard = self.may_be_blocked(contest)
        if unheard is not None:
            return Blocked(contest.address, interface, unheard, answered_by)
        if contest.listed.announced:
            return None
        return InUse(contest.address, interface, answered_by)

    def _judged_deaf_at(self, standing: Standing) -> float:
        """Return when it has not heard us for so long that it is no loss of some frames."""
        return standing.deaf_since + self.deaf_after_s

    def _is_our_turn(self, contest: Contest, order: Sequence[Standing]) -> bool:
        """Whether all candidates before us, who are one ourselves, have let their second pass."""
        while True:
            first = next(each for each in order if each.node not in contest.passed_over)
            if first.node != contest.due:
                contest.due = first.node
                contest.due_since = self.now
            if first is self.me:
                return True
            passed_over_at = contest.due_since + const.PASSED_OVER_AFTER_S
            if self.now < passed_over_at:
                contest.look_at = passed_over_at
                contest.why += f"; it is {first.node}'s turn"
                return False
            contest.passed_over.add(first.node)
