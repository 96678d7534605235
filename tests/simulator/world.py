# SPDX-License-Identifier: MIT
"""Virtual time, unreliable Ethernet segments, and speakers made of the pure core alone."""

from __future__ import annotations

import collections
import dataclasses
import functools
import heapq
import ipaddress
import math
import random
from typing import TYPE_CHECKING, Any

from speaker.protocol import const, events
from speaker.protocol.core import Core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

INTERFACE = "eth0"
KEY = bytes(range(32))
EPOCH_S = 1000.0  # virtual time at which a world begins


def address(number: int) -> events.Address:
    return ipaddress.IPv4Address("192.0.2.0") + number


@dataclasses.dataclass
class Network:
    """One segment: what happens to a frame on its way to one receiver.

    `cut` holds (sender, receiver) pairs.
    """

    loss: float = 0.0
    delay_s: tuple[float, float] = (0.0001, 0.0003)
    duplicate: float = 0.0
    reorder: bool = False
    lost: Callable[[str, bytes], bool] | None = None  # what more is lost, by sender and payload
    cut: set[tuple[str, str]] = dataclasses.field(default_factory=set)


class Node:
    """A node of the cluster: its speaker, if it runs, and what the shell around the core would do.

    It has one interface on each of the world's segments; `down` are those without carrier, and
    `open_since` is since when its speaker has known each to be up and to have an address listed.
    The kernel takes no frames for those in `refuses`.
    `lateness_s` is the longest that a timer fires late.
    """

    def __init__(self, world: World, name: str, number: int) -> None:
        self.world = world
        self.name = name
        self.mac = b"\x52\x54\x00" + number.to_bytes(3)
        self.core: Core | None = None
        self.paused = False
        self.slow_at = -math.inf  # when it last beat more rarely than usual
        self.down: set[str] = set()
        self.refuses: set[str] = set()
        self.open_since = dict.fromkeys(world.networks, math.inf)
        self.held_on: dict[str, dict[events.Address, float]] = {name: {} for name in world.networks}
        self.inbox: collections.deque[tuple[str, bytes]] = collections.deque(maxlen=10_000)
        self.lateness_s = 0.0
        self.children: tuple[events.Listed, ...] = ()
        self.rank = events.Rank.WELL
        self.keys: tuple[bytes, ...] = (KEY,)
        self.versions = (1, 1)
        self.left = self.leaving = False
        self._wake_at = math.inf
        # Strangers' answers to this node's probes, and whose ARP passes where heartbeats do not.
        self.answers: dict[events.Address, bytes] = {}
        self.answered_by_holder_on: Node | None = None
        self._rivals: dict[tuple[str, events.Address], set[bytes]] = {}  # of probes under way
        self._ended: list[events.Probed] = []  # while it stood still

    @property
    def running(self) -> bool:
        return self.core is not None and not self.paused

    @property
    def held(self) -> dict[events.Address, float]:
        return self.held_on[INTERFACE]

    @property
    def interfaces(self) -> events.InterfacesChanged:
        return events.InterfacesChanged(
            tuple(
                events.Interface(name, self.mac, carrier=name not in self.down)
                for name in self.held_on
            )
        )

    def start(self, **changed: Any) -> None:
        world = self.world
        config = events.Config(
            "cluster", self.name, world.random.randbytes(8), self.keys, versions=self.versions
        )
        self.core = Core(dataclasses.replace(config, **changed))
        self.left = self.leaving = False
        self.open_since = dict.fromkeys(world.networks, math.inf)
        self.inbox.clear()
        self._ended.clear()
        self._wake_at = math.inf
        self._open()
        world.moved("start")
        self.tell(
            self.interfaces,
            events.FitnessChanged(self.rank, vetoed=False, why=""),
            events.ChildrenChanged(self.children, complete=True),
        )

    def leave(self) -> None:
        self.leaving = True
        self.world.moved("leave")
        self.tell(events.Leave())

    def kill(self) -> None:
        self.core = None
        self.paused = False
        self.world.moved("kill")
        for interface, held in self.held_on.items():
            for address in list(held):
                self._drop(interface, address)

    def pause(self) -> None:
        self.paused = True
        self.world.moved("pause")

    def resume(self) -> None:
        self.paused = False
        self._open()
        self.world.moved("resume")
        if self.core is None:
            return
        self._guard()
        self.tell(*self._ended)
        self._ended.clear()
        self._drain()
        self.tell(
            self.interfaces,
            events.KeysChanged(self.keys),
            events.ChildrenChanged(self.children, complete=True),
            events.FitnessChanged(self.rank, vetoed=False, why=""),
            events.Tick(),
        )

    def set_children(self, children: Iterable[events.Listed]) -> None:
        self.children = tuple(children)
        self._open()
        self.world.moved("children")
        if self.running:
            self.tell(events.ChildrenChanged(self.children, complete=True))

    def set_keys(self, keys: tuple[bytes, ...]) -> None:
        self.keys = keys
        if self.running:
            self.tell(events.KeysChanged(keys))

    def set_carrier(self, interface: str, *, up: bool) -> None:
        (self.down.discard if up else self.down.add)(interface)
        self._open()
        self.world.moved("carrier")
        if self.running:
            self.tell(self.interfaces)

    def set_refusing(self, interface: str, *, refuses: bool) -> None:
        (self.refuses.add if refuses else self.refuses.discard)(interface)
        self.world.moved("refusing")

    def receive(self, payload: bytes, interface: str = INTERFACE) -> None:
        if self.core is None or interface in self.down:
            return
        if self.paused:
            self.inbox.append((interface, payload))
            return
        self.tell(events.HeartbeatReceived(interface, payload))

    def tell(self, *told: events.Event) -> None:
        for event in told:
            if self.core is None:
                return
            self._act(self.core.handle(event, self.world.now))
        core = self.core
        if core is not None and max(map(core.interval_s, self.held_on)) > const.INTERVAL_S:
            self.slow_at = self.world.now
        self._schedule()

    def _open(self) -> None:
        """Note which segments its speaker, if it runs, opens now and which it closes."""
        if not self.running:
            return
        for interface, since in self.open_since.items():
            named = any(self.name in c.nodes and interface in c.interfaces for c in self.children)
            if interface in self.down or not named:
                self.open_since[interface] = math.inf
            elif since == math.inf:
                self.open_since[interface] = self.world.now

    def _guard(self) -> None:
        if self.core is not None and self.world.now > self.core.fence_at:
            self._act(self.core.handle(events.Stalled(), self.world.now))

    def _drain(self) -> None:
        while self.inbox:
            self.tell(events.HeartbeatReceived(*self.inbox.popleft()))

    def _schedule(self) -> None:
        if self.core is None or self.core.next_deadline >= self._wake_at:
            return
        if self.core.next_deadline == math.inf:
            return
        late = self.world.random.random() * self.lateness_s if self.lateness_s else 0.0
        self._wake_at = max(self.core.next_deadline + late, self.world.now)
        core, at = self.core, self._wake_at
        self.world.at(at, lambda: self._wake(core, at))

    def _wake(self, core: Core, at: float) -> None:
        if core is not self.core or at != self._wake_at:
            return
        self._wake_at = math.inf
        if self.paused:
            return
        # As the driver does: its beat goes first, and mostly nothing else is due.
        self._guard()
        if core.next_deadline <= at:
            self.tell(events.Tick(read_at=None))
        if core is self.core and core.next_deadline <= at:
            self.tell(events.Tick(at))
        assert core is not self.core or core.next_deadline > at, "a tick moved no deadline"
        self._schedule()

    def _act(self, actions: Sequence[events.Action]) -> None:
        world = self.world
        for action in actions:
            world.actions[type(action).__name__] += 1
            match action:
                case events.SendHeartbeat():
                    if action.interface not in self.refuses:
                        world.send(self.name, action.interface, action.payload)
                    elif self.core is not None:
                        self.core.unsent(action.interface)
                case events.Take():
                    held = self.held_on[action.interface]
                    assert action.address not in held, "taken twice"
                    held[action.address] = world.now
                    world.log.append((world.now, self.name, action))
                    world.moved("take", action.address)
                case events.Release():
                    world.log.append((world.now, self.name, action))
                    self._drop(action.interface, action.address)
                case events.Probe():
                    self._probe(action.interface, action.address)
                case events.PeerChanged():
                    if action.cause is events.PeerCause.SILENT:
                        world.deaths.append((world.now, self.name, action.node))
                case events.Silence():
                    world.silences.append((self.name, action))
                case events.Left():
                    self.left = True
                    self.core = None
                    return
                case _:
                    world.log.append((world.now, self.name, action))

    def _drop(self, interface: str, address: events.Address) -> None:
        del self.held_on[interface][address]
        self.world.moved("release", address)

    def _probe(self, interface: str, probed: events.Address) -> None:
        """Ask; whoever asks for the same meanwhile hears it, and is heard."""
        key = interface, probed
        rivals = self._rivals[key] = set()
        for other in self.world.nodes.values():
            if other is not self and key in other._rivals and self._reaches(other, interface):
                rivals.add(other.mac)
                other._rivals[key].add(self.mac)
        done = functools.partial(self._probed, interface, probed)
        self.world.at(self.world.now + self.world.probe_s, done)

    def _probed(self, interface: str, probed: events.Address) -> None:
        """Whoever holds the address and can hear us answers, as ARP does; so does a stranger."""
        answer = self.answers.get(probed)
        for other in self.world.nodes.values():
            reached = self._reaches(other, interface) or self.answered_by_holder_on is other
            holds = other.running and probed in other.held_on[interface]
            if other is not self and holds and reached:
                answer = other.mac
        rivals = self._rivals.pop((interface, probed), set())
        ended = events.Probed(interface, {probed: answer}, {probed: rivals})
        if self.paused:
            self._ended.append(ended)
        else:
            self.tell(ended)

    def _reaches(self, other: Node, interface: str) -> bool:
        ways = {(self.name, other.name), (other.name, self.name)}
        cut = self.world.networks[interface].cut
        return ways.isdisjoint(cut) and interface not in self.down | other.down


class World:
    """Runs everything in order of virtual time; the same seed gives the same run.

    `more` are segments beside the first, by the name of each node's interface there.
    """

    def __init__(
        self,
        names: Sequence[str],
        seed: int = 0,
        network: Network | None = None,
        more: Mapping[str, Network] | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.network = network or Network()
        self.networks = {INTERFACE: self.network, **(more or {})}
        self.now = EPOCH_S
        self.nodes = {name: Node(self, name, i) for i, name in enumerate(names, 1)}
        self.actions: collections.Counter[str] = collections.Counter()
        self.log: list[tuple[float, str, events.Action]] = []
        self.deaths: list[tuple[float, str, str]] = []
        self.silences: collections.deque[tuple[str, events.Silence]] = collections.deque(maxlen=99)
        self.recorded: collections.deque[bytes] = collections.deque(maxlen=5_000)
        self.on_move: list[Callable[[str, events.Address | None], None]] = []
        self.probe_s = 0.2  # how long a probe takes, as `speaker.wire.probes` has it
        self._last_arrival: dict[tuple[str, str, str], float] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, do))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        queue = self._queue
        while queue and queue[0][0] <= until:
            when, _, do = heapq.heappop(queue)
            self.now = max(self.now, when)
            do()
        self.now = until

    def moved(self, what: str, moved: events.Address | None = None) -> None:
        for each in self.on_move:
            each(what, moved)

    def send(self, sender: str, interface: str, payload: bytes) -> None:
        network, rng = self.networks[interface], self.random
        self.recorded.append(payload)
        if network.lost is not None and network.lost(sender, payload):
            return
        low, high = network.delay_s
        for name, node in self.nodes.items():
            if name == sender or node.core is None or (sender, name) in network.cut:
                continue
            copies = 1
            if network.loss and rng.random() < network.loss:
                copies = 0
            if network.duplicate and rng.random() < network.duplicate:
                copies += 1
            for _ in range(copies):
                arrival = self.now + low + rng.random() * (high - low)
                if not network.reorder:
                    way = sender, interface, name
                    arrival = max(arrival, self._last_arrival.get(way, 0.0))
                    self._last_arrival[way] = arrival
                self.at(arrival, functools.partial(node.receive, payload, interface))

    def cut(self, *pairs: tuple[str, str], interface: str = INTERFACE) -> None:
        self.networks[interface].cut.update(pairs)
        self.moved("cut")

    def unplug(self, name: str, interface: str = INTERFACE) -> None:
        others = [other for other in self.nodes if other != name]
        pairs = [*((name, o) for o in others), *((o, name) for o in others)]
        self.cut(*pairs, interface=interface)

    def partition(self, *sides: Iterable[str], interface: str = INTERFACE) -> None:
        self.networks[interface].cut.clear()
        whole = [set(side) for side in sides]
        pairs = [(a, b) for s in whole for t in whole if s is not t for a in s for b in t]
        self.cut(*pairs, interface=interface)

    def heal(self) -> None:
        for network in self.networks.values():
            network.cut.clear()
        self.moved("heal")

    def start(self, children: Iterable[events.Listed] = (), **changed: Any) -> None:
        listed = tuple(children)
        for node in self.nodes.values():
            node.children = listed
            node.start(**changed)

    def set_children(self, children: Iterable[events.Listed]) -> None:
        listed = tuple(children)
        for node in self.nodes.values():
            node.set_children(listed)

    def holders(self, held: events.Address, interface: str = INTERFACE) -> list[str]:
        nodes = self.nodes.values()
        return [n.name for n in nodes if n.running and held in n.held_on[interface]]


def listed(
    number: int,
    *nodes: str,
    version: int = 1,
    failback_delay_s: float = 30.0,
    announced: bool = True,
    interfaces: tuple[str, ...] = (INTERFACE,),
    **more: Any,
) -> events.Listed:
    return events.Listed(
        address=address(number),
        nodes=nodes,
        list_version=version,
        created=1_700_000_000,
        failback_delay_s=failback_delay_s,
        interfaces=interfaces,
        announced=announced,
        **more,
    )
