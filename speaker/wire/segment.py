# SPDX-License-Identifier: MIT
"""Everything this node does with frames on one interface.

Nothing here decides who holds an address: the daemon takes and releases as the core says. Filter
and answers change together: `take`, `release` and `probe` only mark the filter, and `settle`,
which must run before the next frame is read, puts it into the kernel once for all of them.
"""

import contextlib
import functools
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from contract import pool
from speaker.links import table
from speaker.protocol import const
from speaker.wire import arp, channel, hearing, membership, ndp, packet, probes, schedule

_HEARTBEAT_LENGTH: Final = 1514
_ETHERNET_HEADER: Final = 14
_ARP_FORMS: Final = 2  # a gratuitous request and a reply: some hosts heed only one of them
_NDP_FORMS: Final = 1

Conflict = Callable[[str, pool.Address, bytes], None]
"""Called with (interface, address, MAC) when another host claims an address held here."""


class Segment:
    """The sockets of one interface and what is answered, announced and probed there.

    Opening raises OSError when the
    interface is not there or the privilege is missing.
    """

    def __init__(
        self,
        link: table.Link,
        *,
        bucket: schedule.Bucket,
        pace: probes.Pace,
        conflict: Conflict,
    ) -> None:
        self.name = link.name
        self.index = link.index
        self.mac = link.mac
        self._alone = False
        self._mute: hearing.Mute | None = None
        self._heartbeat_header = const.GROUP_MAC + link.mac + const.ETHERTYPE.to_bytes(2)
        self._conflict = conflict
        self._bucket = bucket
        self._schedule = schedule.Schedule(bucket, {pool.IPV4: _ARP_FORMS, pool.IPV6: _NDP_FORMS})
        self._to_defend: set[pool.Address] = set()
        self._probes = probes.Probes(pace)
        self._memberships = membership.Memberships(link.index)
        self._held: set[pool.Address] = set()
        with contextlib.ExitStack() as opened:
            self.heartbeats = packet.PacketSocket(link.name, const.ETHERTYPE)
            opened.callback(self.heartbeats.close)
            self.heartbeats.join(const.GROUP_MAC)
            seen = {
                "conflict": self._claimed,
                "answered": self._answered,
                "contested": self._contested,
            }
            self._arp = channel.Channel(
                link.name, packet.ETH_P_ARP, arp.Responder(link.mac, **seen)
            )
            opened.callback(self._arp.socket.close)
            self._ndp = channel.Channel(
                link.name, packet.ETH_P_IPV6, ndp.Responder(link.mac, **seen)
            )
            opened.callback(self._ndp.socket.close)
            self._opened = opened.pop_all()

    @property
    def channels(self) -> Mapping[str, channel.Channel]:
        """ARP and NDP by name."""
        return {"arp": self._arp, "ndp": self._ndp}

    @property
    def sockets(self) -> Iterator[packet.PacketSocket]:
        """All sockets, for the event loop."""
        yield self.heartbeats
        for protocol in self.channels.values():
            yield protocol.socket

    @property
    def probing(self) -> bool:
        """Whether an answer to a probe is waited for."""
        return self._probes.next_at() is not None

    @property
    def held(self) -> frozenset[pool.Address]:
        """The addresses answered for."""
        return frozenset(self._held)

    def close(self) -> None:
        """Close every socket."""
        self._opened.close()
        self._memberships.close()

    def take(self, address: pool.Address, now: float) -> None:
        """Answer for the address and announce it."""
        self._held.add(address)
        protocol = self._channel(address)
        protocol.responder.hold(address.packed)
        protocol.unsettled = True
        self._schedule.add(address, now)

    def release(self, address: pool.Address) -> None:
        """Answer for the address and announce it no longer."""
        self._held.discard(address)
        self._to_defend.discard(address)
        protocol = self._channel(address)
        protocol.responder.drop(address.packed)
        protocol.unsettled = True
        self._schedule.remove(address)

    def probe(self, address: pool.Address, now: float) -> None:
        """Ask whether anybody answers for the address; `work` returns the outcome."""
        protocol = self._channel(address)
        protocol.responder.watch(address.packed)
        protocol.unsettled = True
        self._probes.start(address, now)

    def isolate(self, *, alone: bool, abruptly: bool) -> None:
        """Announce nothing periodically while alone, and nothing at all while maybe deaf."""
        self._alone = alone
        if abruptly:
            self._mute = hearing.Mute(lambda: hearing.received(self.name))

    def listen_for(self, addresses: Iterable[pool.Address]) -> None:
        """Be ready to be asked for these addresses: join the groups of the IPv6 ones."""
        self._memberships.want(
            ndp.solicited_node(address)
            for address in addresses
            if isinstance(address, ipaddress.IPv6Address)
        )

    def settle(self) -> None:
        """Make the kernel's filters those of the addresses held and probed."""
        self._arp.settle()
        self._ndp.settle()

    def send_heartbeat(self, payload: bytes) -> bool:
        """Send a heartbeat now; False when the kernel took none."""
        return self.heartbeats.send(self._heartbeat_header + payload)

    def next_heartbeat(self) -> bytes | None:
        """Return what follows the next heartbeat's Ethernet header; None when none waits."""
        frame = self.heartbeats.next(_HEARTBEAT_LENGTH)
        return None if frame is None else frame[_ETHERNET_HEADER:]

    def discard(self) -> None:
        """Throw away the questions that wait: they were asked of the past."""
        self._arp.discard()
        self._ndp.discard()

    def work(self, now: float, until: float) -> list[probes.Outcome]:
        """Send the announcements and probes that are due; return the probes that have ended.

        All share the tokens of the interface: what is new here comes first, repetitions last.
        Nothing is sent from `until` on, in seconds since the boot.
        """
        if self._mute is not None and self._mute.ends(now, alone=self._alone):
            self._mute = None
        if self._mute is None:
            self._announce_due(now, until, repeats=False)
            while self._to_defend and self._may_send(now):
                self._announce(self._to_defend.pop(), 1, until)
        ask, ended = self._probes.due(now, functools.partial(self._may_send, now))
        for address in ask:
            protocol = self._channel(address)
            if channel.booted_s() <= until:
                protocol.socket.send(protocol.responder.probe(address.packed))
        if self._mute is None:
            self._announce_due(now, until, repeats=True)
        for outcome in ended:
            protocol = self._channel(outcome.address)
            protocol.responder.unwatch(outcome.address.packed)
            protocol.unsettled = True
        return ended

    def next_at(self, now: float) -> float | None:
        """Return when `work` next has something to do, None for never."""
        announced = self._schedule.next_at(now) if self._mute is None else now + hearing.LOOK_S
        probed = self._probes.next_at()
        if probed is not None and probed <= now:
            probed = self._bucket.ready_at(now, 1)
        defended = self._bucket.ready_at(now, 1) if self._to_defend and not self._mute else None
        moments = (announced, probed, defended)
        return min((moment for moment in moments if moment is not None), default=None)

    def defend(self, address: pool.Address) -> None:
        """Have a held address announced once, out of turn (RFC 5227 §2.4)."""
        if address in self._held:
            self._to_defend.add(address)

    def reassert(self, address: pool.Address, now: float) -> None:
        """Announce a held address as if it were taken now: somebody else has announced it."""
        if address in self._held:
            self._schedule.add(address, now)

    def _announce_due(self, now: float, until: float, *, repeats: bool) -> None:
        for address, forms in self._schedule.due(now, quiet=self._alone, repeats=repeats):
            self._announce(address, forms, until)

    def _announce(self, address: pool.Address, forms: int, until: float) -> None:
        protocol = self._channel(address)
        for frame in protocol.responder.announcements(address.packed)[:forms]:
            if channel.booted_s() <= until:
                protocol.socket.send(frame)

    def _may_send(self, now: float) -> bool:
        return self._bucket.take(now, 1)

    def _channel(self, address: pool.Address) -> channel.Channel:
        return self._arp if address.version == pool.IPV4 else self._ndp

    def _claimed(self, packed: bytes, mac: bytes) -> None:
        self._conflict(self.name, ipaddress.ip_address(packed), mac)

    def _answered(self, packed: bytes, mac: bytes) -> None:
        self._probes.answered(ipaddress.ip_address(packed), mac)

    def _contested(self, packed: bytes, mac: bytes) -> None:
        self._probes.contested(ipaddress.ip_address(packed), mac)
