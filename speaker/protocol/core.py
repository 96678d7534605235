# SPDX-License-Identifier: MIT
"""The protocol core: events in, actions out; no I/O, no clock, no randomness."""

from __future__ import annotations

import collections
import hashlib
import math
from typing import TYPE_CHECKING

from speaker.protocol import const, frame
from speaker.protocol.events import (
    Action,
    ChildrenChanged,
    Config,
    Event,
    FitnessChanged,
    HeartbeatReceived,
    Interface,
    InterfacesChanged,
    KeysChanged,
    Leave,
    Left,
    Listed,
    PeerView,
    Probed,
    Rank,
    ReleaseCause,
    Stalled,
    Tick,
    View,
)
from speaker.protocol.segment import Segment
from speaker.protocol.voice import Own

if TYPE_CHECKING:
    from collections.abc import Sequence


class Core:
    """Liveness and election of one speaker, on all its interfaces.

    `handle` takes events in the order of their `now` (seconds, CLOCK_MONOTONIC) and returns the
    actions to carry out in order. `counters` counts dropped frames by reason. See `Config`.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._codec = frame.Codec(config.group, config.keys, config.versions)
        self._own = Own(config.node, config.versions, config.interval_s)
        self._segments: dict[str, Segment] = {}
        self._interfaces: dict[str, Interface] = {}
        self._children: tuple[Listed, ...] = ()
        self._openings = 0
        self._epochs: collections.deque[bytes] = collections.deque(maxlen=const.OWN_EPOCHS_KEPT)
        self._leave_by = math.inf
        self._left = False
        self.counters: collections.Counter[frame.Drop] = collections.Counter()

    @property
    def next_deadline(self) -> float:
        """When `Tick` is due at the latest."""
        return min((s.next_deadline for s in self._segments.values()), default=math.inf)

    @property
    def fence_at(self) -> float:
        """When the peers on some interface may have declared this node dead.

        Do nothing later without `Stalled`.
        """
        earliest = math.inf
        for segment in self._segments.values():  # for every frame: no generator
            earliest = min(earliest, segment.fence_at)
        return earliest

    @property
    def hears_proxy(self) -> bool:
        """Whether a live peer says that its node's service proxy answers."""
        return any(each.hears_proxy for each in self._segments.values())

    def handle(self, event: Event, now: float) -> Sequence[Action]:
        """Take in what happened at `now` and say what to do about it."""
        if self._left:
            return ()
        if type(event) is HeartbeatReceived:
            actions = self._receive(event, now)
        else:
            actions = self._handle(event, now)
        if self._own.leaving:
            return [*actions, *self._leave(now)]
        return actions

    def unsent(self, interface: str) -> None:
        """Take back that the last heartbeat was sent: the kernel did not take it.

        Who only believes that it speaks is dead to its peers, and its fence must know.
        """
        segment = self._segments.get(interface)
        if segment is not None:
            segment.unsent()

    def may_be_dead(self, interface: str, now: float) -> bool:
        """Whether the peers on an interface may have declared this node dead."""
        segment = self._segments.get(interface)
        return segment is not None and now > segment.fence_at

    def count_peers(self, interface: str) -> int:
        """Return how many peers are alive on an interface."""
        segment = self._segments.get(interface)
        return 0 if segment is None else segment.count_peers()

    def interval_s(self, interface: str) -> float:
        """Return the seconds between our heartbeats on an interface; 0 where there are none."""
        segment = self._segments.get(interface)
        return 0.0 if segment is None else segment.interval_s

    def peers(self, now: float) -> tuple[PeerView, ...]:
        """Show whom this speaker knows, on all interfaces."""
        return tuple(peer for each in self._segments.values() for peer in each.view_peers(now))

    def view(self, now: float) -> View:
        """Show what is believed now, and why."""
        segments = self._segments.values()
        return View(
            peers=self.peers(now),
            addresses=tuple(view for each in segments for view in each.view_addresses()),
            leaving=self._own.leaving,
            key_ids=self._codec.key_ids,
        )

    def _receive(self, event: HeartbeatReceived, now: float) -> Sequence[Action]:
        segment = self._segments.get(event.interface)
        if segment is None:
            self.counters[frame.Drop.NOT_OURS] += 1
            return ()
        try:
            return segment.receive(event.payload, now)
        except frame.DropError as error:
            self.counters[error.reason] += 1
            return segment.greet(now) if error.reason is frame.Drop.UNPROVEN else ()

    def _handle(self, event: Event, now: float) -> list[Action]:
        actions: list[Action] = []
        match event:
            case Tick():
                read_at = None if event.read_at is None else min(now, event.read_at)
                for segment in self._segments.values():
                    actions += segment.tick(now, read_at)
            case ChildrenChanged():
                self._children = event.children
                actions += self._arrange(now)
                if self._own.complete is not event.complete:
                    self._own.complete = event.complete
                    for segment in self._segments.values():
                        actions += segment.changed(now)
            case InterfacesChanged():
                self._interfaces = {each.name: each for each in event.interfaces}
                actions += self._arrange(now)
            case FitnessChanged():
                own = self._own
                own.proxy_well = event.proxy_well  # the next beat says so
                if own.rank is not event.rank or own.vetoed is not event.vetoed:
                    if own.rank is not Rank.WELL or own.vetoed:
                        own.well_since = now
                    own.rank, own.vetoed = event.rank, event.vetoed
                    for segment in self._segments.values():
                        actions += segment.changed(now)
            case KeysChanged():
                self._codec.set_keys(event.keys)
                for segment in self._segments.values():
                    segment.set_keys()
            case Probed():
                probed = self._segments.get(event.interface)
                if probed is not None:
                    actions += probed.probed(event, now)
            case Stalled():
                for segment in self._segments.values():
                    if event.slept or now > segment.fence_at:
                        actions += segment.fence(now)
            case Leave():
                if not self._own.leaving:
                    self._own.leaving = True
                    self._leave_by = now + const.LEAVE_WITHIN_S
                    for segment in self._segments.values():
                        actions += segment.changed(now)
            case HeartbeatReceived():
                actions += self._receive(event, now)
        return actions

    def _arrange(self, now: float) -> list[Action]:
        """Open and close segments, and give each the children that concern it."""
        node = self._config.node
        lists: dict[str, list[Listed]] = collections.defaultdict(list)
        named: set[str] = set()
        known: set[bytes] = set()
        nowhere: list[Listed] = []
        for listed in self._children:
            known.add(listed.address.packed)
            if not listed.interfaces and node in listed.nodes:
                nowhere.append(listed)
            for name in listed.interfaces:
                lists[name].append(listed)
                if node in listed.nodes:
                    named.add(name)
        actions: list[Action] = []
        for name, segment in list(self._segments.items()):
            interface = self._interfaces.get(name)
            if interface is None or not interface.carrier or interface.mac != segment.mac:
                actions += segment.close(ReleaseCause.LINK_DOWN, now)
                del self._segments[name]
        for name, segment in list(self._segments.items()):
            segment.resize(self._interfaces[name].mtu)
            actions += segment.set_children(lists.get(name, ()), now, known=known, nowhere=nowhere)
            if segment.is_empty:
                actions += segment.close(ReleaseCause.DELETED, now)
                del self._segments[name]
        for name in sorted(named - self._segments.keys()):
            interface = self._interfaces.get(name)
            if interface is not None and interface.carrier:
                self._epochs.append(self._next_epoch())
                segment = Segment(interface, self._epochs, self._own, self._codec, now)
                self._segments[name] = segment
                actions += segment.set_children(lists[name], now, known=known, nowhere=nowhere)
        return actions

    def _leave(self, now: float) -> list[Action]:
        segments = self._segments.values()
        if now < self._leave_by and not all(each.is_free_to_leave(now) for each in segments):
            return []
        self._left = True
        actions: list[Action] = []
        for segment in segments:
            actions += segment.close(ReleaseCause.LEAVING, now)
        self._segments.clear()
        return [*actions, Left()]

    def _next_epoch(self) -> bytes:
        """Make an epoch for each opening of an interface: no recording of one fools another."""
        self._openings += 1
        return hashlib.blake2s(
            self._openings.to_bytes(8), key=self._config.epoch, digest_size=8
        ).digest()
