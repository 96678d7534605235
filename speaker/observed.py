# SPDX-License-Identifier: MIT
"""What the speaker has done, told to people: log lines, metrics, and what each child should say.

A change of holder is one line: address, from, to, why, after how long. When very many come at
once, some have no line, and the next line says how many; the metrics count them all.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from contract import announcement, move, names, pool
from speaker import log, metrics
from speaker.cluster import notices, view
from speaker.protocol import events
from speaker.wire import schedule

CONFLICT_EVERY_S: Final = 10.0  # RFC 5227 §2.4 DEFEND_INTERVAL
ASSERTED_EVERY_S: Final = 1.0  # against a peer; each time by a whole burst, past locktime
CONFLICT_OVER_S: Final = 600.0
CONFLICTS_MAX: Final = 1024  # remembered at a time
LINES_A_SECOND: Final = 20.0  # about changes of holder
LINES_AT_ONCE: Final = 500  # a node with so many addresses may die and each have its line
_BELIEVED_FOR_S: Final = 1.0  # looked up anew after this, so that a flood of frames is cheap
REFUSALS_EVERY_S: Final = 60.0
REFUSED_LATELY_S: Final = 1.0  # four dead-intervals: then a fence is the interface's
UNSEEN_FOR_S: Final = 300.0  # by then who took over 1,500 addresses has written their statuses

T = TypeVar("T")
_Place = tuple[pool.Address, str]  # an address on an interface


@dataclasses.dataclass(slots=True)
class _Held:
    mac: bytes
    since: float
    asserted_at: float = -math.inf  # against a peer's announcement


@dataclasses.dataclass(frozen=True, slots=True)
class _GivenUp:
    at: float
    blindly: bool  # others may have taken it over unseen: this node stood still, or has no link


@dataclasses.dataclass(slots=True)
class _Conflict:
    mac: bytes
    at: float


class Observed:
    """What this node announces, refuses and suffers; implements `driver.Observer`.

    `peers` and `addresses` return what the core believes, `defend` announces an address once,
    `reassert` as if it were taken now, `changed` is called when a child should say something else,
    and `notify` with what its Service's user should read.
    """

    def __init__(
        self,
        node: str,
        logger: log.Logger,
        counted: metrics.Metrics,
        *,
        peers: Callable[[], Iterable[events.PeerView]],
        addresses: Callable[[], Iterable[events.AddressView]],
        mac_of: Callable[[str], bytes],
        defend: Callable[[str, pool.Address], None],
        reassert: Callable[[str, pool.Address, float], None],
        changed: Callable[[], None],
        notify: Callable[[notices.Notice], None],
    ) -> None:
        self._node = node
        self._log = logger
        self._metrics = counted
        self._peers = peers
        self._addresses = addresses
        self._mac_of = mac_of
        self._defend = defend
        self._reassert = reassert
        self._changed = changed
        self._notify = notify
        self._held: dict[pool.Address, dict[str, _Held]] = {}  # by interface
        self._refused: dict[pool.Address, dict[str, announcement.Announcement]] = {}
        self._given_up: dict[pool.Address, _GivenUp] = {}
        self.nowhere: frozenset[pool.Address] = frozenset()
        self.alone: set[str] = set()  # interfaces
        self._conflicts: dict[_Place, _Conflict] = {}
        self._peers_known: tuple[events.PeerView, ...] = ()
        self._peers_known_at = -math.inf
        self._holders_known: Mapping[pool.Address, set[str | None]] = {}
        self._holders_known_at = -math.inf
        self._refused_at: dict[str, float] = {}  # heartbeats, by interface
        self._refusal_told_at = -math.inf
        self._lines = schedule.Bucket(LINES_A_SECOND, LINES_AT_ONCE, 0.0)
        self._lineless = 0
        self.left = False

    @property
    def held(self) -> Collection[pool.Address]:
        """The addresses held."""
        return self._held.keys()

    @property
    def refused(self) -> list[names.AnnouncedReason]:
        """Why addresses are not taken, one reason each."""
        return [said.reason for places in self._refused.values() for said in places.values()]

    def wants(self, known: view.KnownChild, now: float) -> announcement.Announcement | None:
        """Return what this node wants the child's status to say; None: it is not its own.

        Why an address is not announced is said only where no other node announces it.
        """
        address = known.child.address
        if held := self._held.get(address):
            interface = min(held)
            return self._announcing(address, interface, held[interface].mac, now)
        if refused := self._refused.get(address):
            return refused[min(refused)]
        return self._absence(known, now)

    def retain(self, children: Iterable[view.KnownChild]) -> None:
        """Forget what was of addresses that none of these children has."""
        if self._given_up:
            for address in self._given_up.keys() - {known.child.address for known in children}:
                del self._given_up[address]

    def acted(self, action: events.Action, now: float) -> None:
        """Log, count and remember an action."""
        match action:
            case events.Take(address, interface, cause, previous):
                self._took(address, interface, cause, previous, now)
            case events.Release(address, interface, cause, to):
                held = _forget(self._held, address, interface)
                self._conflicts.pop((address, interface), None)
                if to is None and cause is not events.ReleaseCause.DELETED:
                    blindly = cause in {events.ReleaseCause.STALLED, events.ReleaseCause.LINK_DOWN}
                    self._given_up[address] = _GivenUp(now, blindly)
                self._metrics.released.add(interface, cause.value)
                after_s = None if held is None else now - held.since
                self._moved(
                    address,
                    interface,
                    source=self._node,
                    target=to,
                    why=cause.value,
                    after_s=after_s,
                    now=now,
                )
                self._changed()
            case events.Blocked(address, interface, by_node, mac):
                self._refuse(
                    address,
                    interface,
                    names.AnnouncedReason.HEARTBEATS_BLOCKED,
                    f"{address} is answered by {mac.hex(':')} while {by_node}, listed too, is "
                    "not heard: let EtherType 0x88b5 pass between the nodes, and give all "
                    "speakers the same keys",
                )
            case events.InUse(address, interface, mac):
                said = announcement.Announcement.in_use(address, mac=mac.hex(":"))
                self._refuse(address, interface, said.reason, said.message)
            case events.Cleared(address, interface):
                if _forget(self._refused, address, interface) is not None:
                    self._log.info("address free", address=str(address), interface=interface)
                    self._changed()
            case events.PeerChanged(interface, node, alive, cause):
                self._peer(interface, node, cause, now, alive=alive)
            case events.Silence(interface, _, silent_s):
                self._metrics.silences.observe(interface, number=silent_s)
            case events.Alone(interface, alone):
                (self.alone.add if alone else self.alone.discard)(interface)
                self._log.info("alone" if alone else "no longer alone", interface=interface)
            case events.Left():
                self.left = True
                self._changed()

    def conflicted(self, interface: str, address: pool.Address, mac: bytes, now: float) -> None:
        """Note another host's claim to an address held here, and answer it now and then.

        A peer that announces what is rightfully held here hears nobody, or it would know; only
        the clients can be set right.
        """
        if self._is_peer(mac, now):
            held = self._held.get(address, {}).get(interface)
            if held is not None and now - held.asserted_at >= ASSERTED_EVERY_S:
                held.asserted_at = now
                self._reassert(interface, address, now)
            return
        self._metrics.conflicts.add(interface)
        place = address, interface
        known = self._conflicts.get(place)
        if known is not None and now - known.at < CONFLICT_EVERY_S:
            return
        if known is None and len(self._conflicts) >= CONFLICTS_MAX:
            oldest = next(iter(self._conflicts))
            if now - self._conflicts[oldest].at < CONFLICT_OVER_S:
                return
            del self._conflicts[oldest]
        self._conflicts.pop(place, None)  # so that they stay in the order of their times
        self._conflicts[place] = _Conflict(mac, now)
        self._log.warning(
            "address conflict",
            address=str(address),
            interface=interface,
            mac=mac.hex(":"),
            remedy="find the host with this MAC and take the address from it, or from the pool",
        )
        self._notify(
            notices.Notice(
                address,
                names.AnnouncedReason.ADDRESS_CONFLICT,
                f"{address}, announced by {self._node}, is claimed by {mac.hex(':')} too",
                warns=True,
            )
        )
        self._defend(interface, address)
        self._changed()

    def stalled(self, interfaces: Collection[str], age_s: float, now: float) -> None:
        """Log and count that this process stood still.

        An interface that takes no heartbeats is fenced four times a second, and has its own line.
        """
        refused_at = [self._refused_at.get(name, -math.inf) for name in interfaces]
        if refused_at and now - min(refused_at) < REFUSED_LATELY_S:
            return
        self._metrics.stalls.add()
        self._log.warning("stalled", for_s=round(age_s, 3), then="holds nothing, listens again")

    def could_not_send(self, interface: str, now: float) -> None:
        """Log once a minute that the kernel takes no heartbeats for an interface."""
        lately = {n: at for n, at in self._refused_at.items() if now - at < REFUSED_LATELY_S}
        self._refused_at = lately | {interface: now}
        if now - self._refusal_told_at >= REFUSALS_EVERY_S:
            self._refusal_told_at = now
            self._log.error(
                "heartbeat not sent",
                interface=interface,
                then="holds nothing there while that lasts",
                remedy="let EtherType 0x88b5 out, and see what the interface's queue waits for",
            )

    def woken(self, late_s: float) -> None:
        """Count how late this process saw to what was due."""
        self._metrics.late.observe(number=late_s)

    def could_not_open(self, interface: str, error: OSError) -> None:
        """Log an interface that can not be listened to."""
        self._log.error(
            "interface not usable",
            interface=interface,
            error=str(error),
            remedy="the speaker needs the capability NET_RAW and an Ethernet interface",
        )

    def _took(
        self,
        address: pool.Address,
        interface: str,
        cause: events.TakeCause,
        previous: str | None,
        now: float,
    ) -> None:
        self._held.setdefault(address, {})[interface] = _Held(self._mac_of(interface), now)
        self._given_up.pop(address, None)
        self._metrics.taken.add(interface, cause.value)
        after_s = None
        if cause is events.TakeCause.HOLDER_DIED:
            after_s = self._age_of(interface, previous, now)
        if after_s is not None:
            self._metrics.failover.observe(number=after_s)
        self._moved(
            address,
            interface,
            source=previous,
            target=self._node,
            why=cause.value,
            after_s=after_s,
            now=now,
        )
        if previous not in {None, self._node}:
            self._notify(
                notices.Notice(
                    address,
                    move.REASON,
                    str(move.Move(address, previous, self._node, cause.value)),
                    warns=cause is events.TakeCause.HOLDER_DIED,
                )
            )
        self._changed()

    def _moved(
        self,
        address: pool.Address,
        interface: str,
        *,
        source: str | None,
        target: str | None,
        why: str,
        after_s: float | None,
        now: float,
    ) -> None:
        """Log that the address went from one node to another; from a node to itself is no move."""
        if source == target:
            return
        if not self._lines.take(now, 1):
            self._lineless += 1
            return
        fields: dict[str, Any] = {"address": str(address), "interface": interface}
        fields |= {"from": source, "to": target, "why": why}
        fields["after_s"] = None if after_s is None else round(after_s, 3)
        if self._lineless:
            fields["changes_without_a_line"] = self._lineless
            self._lineless = 0
        self._log.info("holder changed", **fields)

    def _refuse(
        self, address: pool.Address, interface: str, reason: names.AnnouncedReason, message: str
    ) -> None:
        said = announcement.Announcement(address, reason, message)
        places = self._refused.setdefault(address, {})
        if places.get(interface) == said:
            return
        places[interface] = said
        self._log.warning(
            "address not taken", address=str(address), interface=interface, why=message
        )
        self._notify(notices.Notice(address, reason, message, warns=True))
        self._changed()

    def _peer(
        self, interface: str, node: str, cause: events.PeerCause, now: float, *, alive: bool
    ) -> None:
        self._metrics.peer_changes.add(interface, "up" if alive else cause.value)
        if alive:
            self._log.info("peer up", interface=interface, node=node)
            return
        age_s = self._age_of(interface, node, now)
        self._log.info("peer down", interface=interface, node=node, why=cause.value, age_s=age_s)

    def _absence(self, known: view.KnownChild, now: float) -> announcement.Announcement | None:
        address = known.child.address
        announced_by = known.announced.node if known.announced is not None else None
        if address in self.nowhere and announced_by in {None, self._node}:
            return announcement.Announcement(
                address,
                names.AnnouncedReason.NO_INTERFACE,
                f"{self._node}, listed first, has no interface for {address}: give it one in that "
                "subnet, or name one in the balancer's interfaces",
            )
        if announced_by == self._node and self._has_no_holder(address, now):
            return announcement.Announcement(
                address,
                names.AnnouncedReason.NO_CANDIDATE,
                f"{self._node} gave it up and no other listed node has taken it over",
            )
        return None

    def _has_no_holder(self, address: pool.Address, now: float) -> bool:
        """Whether this node gave the address up, and as far as it can know nobody holds it."""
        given_up = self._given_up.get(address)
        if given_up is None:
            return False
        if now - self._holders_known_at > _BELIEVED_FOR_S:
            holders: dict[pool.Address, set[str | None]] = {}
            for believed in self._addresses():
                holders.setdefault(believed.address, set()).add(believed.holder)
            self._holders_known, self._holders_known_at = holders, now
        seen = self._holders_known.get(address)
        if seen is None:
            return not given_up.blindly or now - given_up.at >= UNSEEN_FOR_S
        return seen == {None}

    def _age_of(self, interface: str, node: str | None, now: float) -> float | None:
        """Return the seconds since this peer, or a former self of it, was last heard."""
        ages_s = [
            peer.age_s
            for peer in self._peers_within(0.0, now)
            if (peer.interface, peer.node) == (interface, node)
        ]
        return round(min(ages_s), 3) if ages_s else None

    def _is_peer(self, mac: bytes, now: float) -> bool:
        return any(peer.mac == mac for peer in self._peers_within(_BELIEVED_FOR_S, now))

    def _peers_within(self, age_s: float, now: float) -> tuple[events.PeerView, ...]:
        if now - self._peers_known_at > age_s:
            self._peers_known, self._peers_known_at = tuple(self._peers()), now
        return self._peers_known

    def _announcing(
        self, address: pool.Address, interface: str, mac: bytes, now: float
    ) -> announcement.Announcement:
        by = announcement.Announcement.by(
            address, node=self._node, interface=interface, mac=mac.hex(":")
        )
        conflict = self._conflicts.get((address, interface))
        if conflict is None or now - conflict.at >= CONFLICT_OVER_S:
            return by
        return dataclasses.replace(
            by,
            reason=names.AnnouncedReason.ADDRESS_CONFLICT,
            message=f"{by.message}; {conflict.mac.hex(':')} claims it too",
        )


def _forget(
    places: dict[pool.Address, dict[str, T]], address: pool.Address, interface: str
) -> T | None:
    """Remove an address's entry of an interface and return it."""
    found = places.get(address, {})
    entry = found.pop(interface, None)
    if not found:
        places.pop(address, None)
    return entry
