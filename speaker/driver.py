# SPDX-License-Identifier: MIT
"""Driving the protocol core: frames and deadlines in, heartbeats and answers out.

Everything here runs in callbacks of one event loop and each batch is bounded, so the longest
time between two looks at the clock is some milliseconds. Before each batch and each event for the
core the fence is checked: a process that stood still for too long must not answer from the past.
After it, whatever called, our own heartbeat is sent if it is due and those that wait are read: on a
node whose cores are fought over, the turn that the timer would wait for may come too late.
"""

import asyncio
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from contract import pool
from speaker.links import table
from speaker.protocol import const, core, events
from speaker.wire import channel, probes, schedule, segment

HEARTBEAT_BATCH: Final = 256  # frames; 5 ms of work
BEAT_BETWEEN: Final = 16  # of them our own beat is looked after; large ones take 0.1 ms each
# The kernel queues no more, so what had come by a deadline has been read after so many: under a
# flood the queue is never found empty, and the dead must be buried all the same.
HEARTBEATS_QUEUED: Final = 1400
# In a large group beats come in bursts of one a peer. Each costs a few microseconds to read and ten
# times that to wake up for, so the rest of a burst is left to gather once its first has come: for
# at most half an interval, which is less than whoever asks waits for an answer.
GATHER_S_PER_PEER: Final = const.INTERVAL_PER_PEER_S / 2
GATHER_FROM_PEERS: Final = 10
ANSWER_BATCH: Final = 64  # frames a protocol before heartbeats have their turn again
OPEN_AGAIN_S: Final = 1.0
SUSPENDED_S: Final = 0.2  # CLOCK_BOOTTIME ahead of CLOCK_MONOTONIC by this: the machine slept


class Observer(Protocol):
    """Told what happened, after it has happened."""

    def acted(self, action: events.Action, now: float) -> None:
        """Take note of an action other than a heartbeat that was carried out."""

    def conflicted(self, interface: str, address: pool.Address, mac: bytes, now: float) -> None:
        """Take note of another host that claims an address held here."""

    def stalled(self, interfaces: Collection[str], age_s: float, now: float) -> None:
        """Take note that these interfaces were fenced, this process not having run for so long."""

    def could_not_send(self, interface: str, now: float) -> None:
        """Take note of a heartbeat that the kernel did not take."""

    def woken(self, late_s: float) -> None:
        """Take note of how long after its time a deadline of the core was met."""

    def could_not_open(self, interface: str, error: OSError) -> None:
        """Take note of an interface that is there and can not be listened to."""


@dataclasses.dataclass(slots=True)
class _Queue:
    """How far an interface's heartbeats have been read: all that had come by `read_at`.

    Since it was last found empty or read through, `count` were read from `since` on.
    """

    read_at: float = -math.inf
    since: float = -math.inf
    count: int = 0


class Driver:
    """The core, its segments and its timer.

    `clock` is CLOCK_MONOTONIC, which the event loop uses too. Addresses may be told to the core
    by `tell`; interfaces by `use_links`, which opens and closes their sockets.
    """

    def __init__(
        self,
        config: events.Config,
        observer: Observer,
        *,
        pace: probes.Pace,
        announce_rate: float,
        announce_burst: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.core = core.Core(config)
        self.segments: dict[str, segment.Segment] = {}
        self._observer = observer
        self._pace = pace
        self._announce = (announce_rate, announce_burst)
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ran_at = clock()
        self._booted_s = channel.booted_s()
        self._acted = False
        self._queues: dict[str, _Queue] = {}  # by interface
        self._links: dict[str, table.Link] = {}
        self._wanted: frozenset[str] = frozenset()
        self._refused: dict[str, str] = {}  # why an interface could not be opened
        self._again: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Close every socket."""
        for handle in (self._timer, self._again):
            if handle is not None:
                handle.cancel()
        for name in list(self.segments):
            self._close(name)

    def tell(self, event: events.Event) -> None:
        """Give the core an event and do what it answers."""
        self._catch_up()
        self._tell(event)
        self._work()

    def catch_up(self) -> None:
        """Do what is due, for whoever keeps the event loop busy for some milliseconds."""
        self._catch_up()
        self._follow_up()

    def use_links(self, links: Iterable[table.Link], wanted: Iterable[str]) -> None:
        """Follow the node's Ethernet links; listen on the `wanted` ones.

        A link that was replaced or changed its MAC is gone for the core first, and then new. One
        that can not be opened, as for want of memory, is tried again each `OPEN_AGAIN_S`.
        """
        self._catch_up()
        self._links = {link.name: link for link in links}
        self._wanted = frozenset(wanted)
        stale = [name for name, old in self.segments.items() if not self._serves(old)]
        if stale:
            self._tell_interfaces(without=stale)
            for name in stale:
                self._close(name)
        missing = self._links.keys() & self._wanted - self.segments.keys()
        for name in sorted(missing):
            self._open(self._links[name])
        if self._again is None and not missing <= self.segments.keys():
            self._again = self._loop.call_later(OPEN_AGAIN_S, self._open_again)
        self._tell_interfaces()
        self._work()

    def _serves(self, opened: segment.Segment) -> bool:
        link = self._links.get(opened.name)
        return link is not None and (link.index, link.mac) == (opened.index, opened.mac)

    def _tell_interfaces(self, without: Iterable[str] = ()) -> None:
        usable = tuple(
            events.Interface(name, opened.mac, self._links[name].carrier, self._links[name].mtu)
            for name, opened in sorted(self.segments.items())
            if name not in without
        )
        self._tell(events.InterfacesChanged(usable))

    def _open(self, link: table.Link) -> None:
        bucket = schedule.Bucket(*self._announce, self._clock())
        try:
            opened = segment.Segment(
                link, bucket=bucket, pace=self._pace, conflict=self._conflicted
            )
        except OSError as error:
            if self._refused.get(link.name) != str(error):
                self._refused[link.name] = str(error)
                self._observer.could_not_open(link.name, error)
            return
        self._refused.pop(link.name, None)
        self.segments[link.name] = opened
        self._queues[link.name] = _Queue()
        self._listen(opened)
        for protocol in opened.channels.values():
            self._loop.add_reader(protocol.socket, functools.partial(self._on_frames, protocol))

    def _open_again(self) -> None:
        self._again = None
        self.use_links(self._links.values(), self._wanted)

    def _close(self, name: str) -> None:
        closed = self.segments.pop(name)
        del self._queues[name]
        for sock in closed.sockets:
            self._loop.remove_reader(sock)
        closed.close()

    def _listen(self, opened: segment.Segment) -> None:
        self._loop.add_reader(opened.heartbeats, self._on_heartbeats, opened)

    def _on_heartbeats(self, opened: segment.Segment) -> None:
        peers = self.core.count_peers(opened.name)
        if peers >= GATHER_FROM_PEERS:
            self._loop.remove_reader(opened.heartbeats)
            self._loop.call_later(peers * GATHER_S_PER_PEER, self._on_gathered, opened)
        self.catch_up()

    def _on_gathered(self, opened: segment.Segment) -> None:
        if self.segments.get(opened.name) is opened:  # else it was closed meanwhile
            self.catch_up()
            self._listen(opened)

    def _on_frames(self, protocol: channel.Channel) -> None:
        # What a heartbeat says may be that an address is another's by now.
        self._catch_up()
        self._answer(protocol)
        self._follow_up()

    def _answer(self, protocol: channel.Channel) -> None:
        self._settle()
        protocol.answer(ANSWER_BATCH, self._until())

    def _on_timer(self) -> None:
        self._timer = None
        self._catch_up()
        self._work()

    def _catch_up(self) -> None:
        """Look at the fence, send our heartbeat, read the others', and meet the core's deadline.

        Ours goes first. A starved process is woken soon, but what it then has to do takes long.
        """
        due_at = self.core.next_deadline  # before a fence, with which our heartbeat goes out
        now = self._fence()
        if now >= due_at:
            self._observer.woken(now - due_at)
            self._tell(events.Tick(read_at=None))
        read_at = now
        for opened in self.segments.values():
            read_at = min(read_at, self._drain(opened, now))
        if read_at >= self.core.next_deadline:
            self._tell(events.Tick(read_at))

    def _drain(self, opened: segment.Segment, now: float) -> float:
        """Read a batch of heartbeats; return by when all that had come has been read.

        Each interface has its own batch: one that is flooded must not keep another from its turn.
        """
        queue = self._queues[opened.name]
        for count in range(1, HEARTBEAT_BATCH + 1):
            payload = opened.next_heartbeat()
            if payload is None:
                queue.read_at, queue.count = now, 0
                return now
            self._tell(events.HeartbeatReceived(opened.name, payload))
            if count % BEAT_BETWEEN == 0 and self._clock() >= self.core.next_deadline:
                self._tell(events.Tick(read_at=None))
        if not queue.count:
            queue.since = now
        queue.count += HEARTBEAT_BATCH
        if queue.count >= HEARTBEATS_QUEUED:
            queue.read_at, queue.count = queue.since, 0
        return queue.read_at

    def _fence(self) -> float:
        """Return the time, by which all is released that others may have taken over."""
        now, booted_s = self._clock(), channel.booted_s()
        ran_s, ran_or_slept_s = now - self._ran_at, booted_s - self._booted_s
        self._ran_at, self._booted_s = now, booted_s
        slept = ran_or_slept_s - ran_s >= SUSPENDED_S
        if now <= self.core.fence_at and not slept:
            return now
        fenced = [n for n in self.segments if slept or self.core.may_be_dead(n, now)]
        self._carry_out(self.core.handle(events.Stalled(slept=slept), now), now)
        self._settle()
        for name in fenced:
            self.segments[name].discard()
        self._observer.stalled(fenced, ran_or_slept_s, now)
        return now

    def _tell(self, event: events.Event) -> None:
        # Whatever happens, the core beats if that is due, and would beat as if nothing had been.
        now = self._fence()
        self._carry_out(self.core.handle(event, now), now)

    def _carry_out(self, actions: Sequence[events.Action], now: float) -> None:
        if not actions:
            return
        until = self._until()
        for action in actions:
            self._act(action, now)
            # A thousand addresses to take or release take long, and our heartbeat is due meanwhile.
            # Whoever stood still may be dead to others by now, and leaves it to the fence.
            moment = self._clock()
            if moment >= self.core.next_deadline and channel.booted_s() <= until:
                self._beat(moment)
                until = self._until()
        self._acted = True

    def _beat(self, now: float) -> None:
        for action in self.core.handle(events.Tick(read_at=None), now):
            self._act(action, now)

    def _act(self, action: events.Action, now: float) -> None:
        match action:
            case events.SendHeartbeat(interface, payload):
                opened = self.segments.get(interface)
                if opened is not None and not opened.send_heartbeat(payload):
                    self.core.unsent(interface)
                    self._observer.could_not_send(interface, now)
                return
            case events.Take(address, interface):
                self.segments[interface].take(address, now)
            case events.Release(address, interface):
                if interface in self.segments:
                    self.segments[interface].release(address)
            case events.Probe(address, interface):
                self.segments[interface].probe(address, now)
            case events.Alone(interface, alone, abruptly):
                if interface in self.segments:
                    self.segments[interface].isolate(alone=alone, abruptly=abruptly)
        self._observer.acted(action, now)

    def _follow_up(self) -> None:
        """Do what must be done after frames were read; mostly that is nothing."""
        if self._acted:
            self._work()
        elif self._timer is None or self.core.next_deadline < self._timer.when():
            self._arm(self._clock())

    def _work(self) -> None:
        """Announce and probe what is due, and see to be woken in time."""
        for opened in self.segments.values():
            # The answer to a probe may lie unread when its time is over.
            if opened.probing:
                for protocol in opened.channels.values():
                    self._answer(protocol)
        self._settle()
        now, until = self._clock(), self._until()
        while True:
            ended = [
                events.Probed(
                    name,
                    answers={one.address: one.answered_by for one in outcomes},
                    rivals={one.address: one.rivals for one in outcomes if one.rivals},
                )
                for name, opened in self.segments.items()
                if (outcomes := opened.work(now, until))
            ]
            if not ended:
                break
            for probed in ended:
                self._tell(probed)
        self._settle()
        self._acted = False
        self._arm(now)

    def _until(self) -> float:
        """Return until when, in seconds since the boot, this node cannot be dead to its peers."""
        return channel.booted_s() + self.core.fence_at - self._clock()

    def _settle(self) -> None:
        """Make the kernel let through what is held now, once for all that has changed."""
        for opened in self.segments.values():
            opened.settle()

    def _arm(self, now: float) -> None:
        moments = [self.core.next_deadline]
        moments += [
            moment
            for opened in self.segments.values()
            if (moment := opened.next_at(now)) is not None
        ]
        when = min(moments)
        if when == math.inf:
            return
        if self._timer is not None:
            if self._timer.when() == when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _conflicted(self, interface: str, address: pool.Address, mac: bytes) -> None:
        self._observer.conflicted(interface, address, mac, self._clock())
        self._acted = True  # a defence may be due
