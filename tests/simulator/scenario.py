# SPDX-License-Identifier: MIT
"""Random trouble: what a scenario can do to a cluster, drawn by anything that can choose.

Hypothesis draws short scenarios and shrinks them; the soak draws long ones with `random`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING, Protocol

from speaker.protocol import const, events
from tests.simulator import world as worlds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Chooser(Protocol):
    """What both sources of choice can do."""

    def choice(self, options: Sequence[str]) -> str: ...

    def number(self, low: int, high: int) -> int: ...


TROUBLES = (
    "kill",
    "restart",
    "start",
    "leave",
    "pause",
    "resume",
    "starve",
    "unplug",
    "carrier",
    "refuse",
    "partition",
    "one-way",
    "deafen",
    "heal",
    "rank",
    "decline",
    "subnet",
    "reorder-list",
    "shrink-list",
    "delete-child",
    "add-child",
    "rotate-keys",
    "other-version",
    "replay",
    "quiet",
)


STALL_EVERY_S, STALL_S = 0.7, 0.3
SETTLED_S = 0.5  # a key is used once every peer has said that it accepts it


def rotation() -> Iterator[tuple[bytes, ...]]:
    """The keys of one step after another: add the new one behind, prefer it, remove the old one."""
    old = worlds.KEY
    for number in itertools.count(1):
        new = number.to_bytes(32)
        yield (old, new)
        yield (new, old)
        yield (new,)
        old = new


@dataclasses.dataclass
class Scenario:
    """A cluster and the trouble made for it; `step` makes one and lets time pass."""

    world: worlds.World
    choose: Chooser
    children: list[events.Listed]
    declined: dict[str, set[events.Address]] = dataclasses.field(default_factory=dict)
    nowhere: dict[str, set[events.Address]] = dataclasses.field(default_factory=dict)
    done: list[str] = dataclasses.field(default_factory=list)
    spread_s: float = 0.3  # speakers see a change of the API at different times
    rotation: Iterator[tuple[bytes, ...]] = dataclasses.field(default_factory=rotation)
    rotated_at: float = 0.0

    def step(self, trouble: str | None = None) -> None:
        what = trouble or self.choose.choice(TROUBLES)
        name = self.choose.choice(sorted(self.world.nodes))
        self.done.append(f"{self.world.now:.3f} {what} {name}")
        getattr(self, "_" + what.replace("-", "_"))(self.world.nodes[name])
        self.world.run(self.choose.number(1, 60) ** 2 / 1000)

    def mend(self) -> None:
        """End all trouble and let the cluster come to rest."""
        self.world.heal()
        for node in self.world.nodes.values():
            for interface in sorted(node.down):
                node.set_carrier(interface, up=True)
            for interface in sorted(node.refuses):
                node.set_refusing(interface, refuses=False)
            if node.paused:
                node.resume()
            if node.leaving:  # it may still be handing over
                gone_by = self.world.now + const.LEAVE_WITHIN_S + 0.1
                self.world.at(gone_by, functools.partial(self._start, node))
            self._start(node)
        for network in self.world.networks.values():
            network.loss = 0.0
        self.world.run(30.0)

    def check_rest(self) -> None:
        """Raise AssertionError unless each address is where it belongs after a long calm."""
        nodes = self.world.nodes
        for child in self.children:
            candidates = [
                name
                for name in child.nodes
                if child.address not in self.declined.get(name, ())
                and child.address not in self.nowhere.get(name, ())
            ]
            for interface in child.interfaces:
                holders = self.world.holders(child.address, interface)
                told = f"{child} is held by {holders} on {interface}"
                assert len(holders) == bool(candidates), told
                if candidates:
                    best = min(nodes[name].rank for name in candidates)
                    preferred = nodes[child.nodes[0]]
                    assert nodes[holders[0]].rank == best, told
                    if child.nodes[0] in candidates and preferred.rank == best:
                        assert holders == [preferred.name], told

    def _kill(self, node: worlds.Node) -> None:
        node.kill()

    def _restart(self, node: worlds.Node) -> None:
        node.kill()
        self.world.at(self.world.now + 0.5, lambda: self._start(node))

    def _start(self, node: worlds.Node) -> None:
        if node.core is None:
            node.start()

    def _leave(self, node: worlds.Node) -> None:
        if node.running and not node.leaving:
            node.leave()

    def _pause(self, node: worlds.Node) -> None:
        if node.running:
            node.pause()

    def _resume(self, node: worlds.Node) -> None:
        if node.paused:
            node.resume()

    def _starve(self, node: worlds.Node) -> None:
        """Let it stand still until it beats more rarely, if nothing else happens to it."""
        for count in range(const.STALLS_COUNTED):
            at = self.world.now + count * STALL_EVERY_S
            self.world.at(at, functools.partial(self._pause, node))
            self.world.at(at + STALL_S, functools.partial(self._resume, node))

    def _segment(self) -> str:
        names = sorted(self.world.networks)
        return self.choose.choice(names) if len(names) > 1 else names[0]

    def _unplug(self, node: worlds.Node) -> None:
        self.world.unplug(node.name, self._segment())

    def _carrier(self, node: worlds.Node) -> None:
        interface = self._segment()
        node.set_carrier(interface, up=interface in node.down)

    def _refuse(self, node: worlds.Node) -> None:
        interface = self._segment()
        node.set_refusing(interface, refuses=interface not in node.refuses)

    def _partition(self, node: worlds.Node) -> None:
        names = sorted(self.world.nodes)
        split = self.choose.number(1, len(names) - 1)
        self.world.partition(names[:split], names[split:], interface=self._segment())

    def _one_way(self, node: worlds.Node) -> None:
        deaf = self.choose.choice(sorted(self.world.nodes))
        if deaf != node.name:
            self.world.cut((node.name, deaf), interface=self._segment())

    def _deafen(self, node: worlds.Node) -> None:
        others = [name for name in self.world.nodes if name != node.name]
        self.world.cut(*((other, node.name) for other in others), interface=self._segment())

    def _heal(self, node: worlds.Node) -> None:
        self.world.heal()

    def _rank(self, node: worlds.Node) -> None:
        node.rank = events.Rank(self.choose.number(0, 3))
        if node.running:
            well = node.rank is not events.Rank.PROXY_FAILING
            node.tell(events.FitnessChanged(node.rank, vetoed=False, why="", proxy_well=well))

    def _decline(self, node: worlds.Node) -> None:
        self._toggle(self.declined, node)

    def _subnet(self, node: worlds.Node) -> None:
        """Take the subnet of an address from a node, or bring it back."""
        self._toggle(self.nowhere, node)

    def _toggle(self, of: dict[str, set[events.Address]], node: worlds.Node) -> None:
        if self.children:
            of.setdefault(node.name, set()).symmetric_difference_update({self._pick().address})
            self._tell(node)

    def _pick(self) -> events.Listed:
        return self.children[self.choose.number(0, len(self.children) - 1)]

    def _reorder_list(self, node: worlds.Node) -> None:
        if self.children:
            old = self._pick()
            self._replace(old, (*old.nodes[1:], old.nodes[0]))

    def _shrink_list(self, node: worlds.Node) -> None:
        if self.children:
            old = self._pick()
            nodes = tuple(name for name in old.nodes if name != node.name)
            self._replace(old, nodes if len(nodes) != len(old.nodes) else (*nodes, node.name))

    def _replace(self, old: events.Listed, nodes: tuple[str, ...]) -> None:
        new = dataclasses.replace(old, nodes=nodes, list_version=old.list_version + 1)
        self.children[self.children.index(old)] = new
        self._publish()

    def _delete_child(self, node: worlds.Node) -> None:
        if self.children:
            self.children.remove(self._pick())
            self._publish()

    def _add_child(self, node: worlds.Node) -> None:
        used = {child.address for child in self.children}
        number = next(n for n in itertools.count(1) if worlds.address(n) not in used)
        names = sorted(self.world.nodes)
        at = names.index(node.name)
        nodes = (*names[at:], *names[:at])
        interfaces = tuple(self.world.networks)
        new = worlds.listed(number, *nodes, failback_delay_s=1.0, interfaces=interfaces)
        self.children.append(new)
        self._publish()

    def _rotate_keys(self, node: worlds.Node) -> None:
        """Take the next step of a rotation, once the one before has reached everybody."""
        if self.world.now - self.rotated_at < self.spread_s + SETTLED_S:
            return
        self.rotated_at = self.world.now
        keys = next(self.rotation)
        for each in self.world.nodes.values():
            late = self.choose.number(0, 10) / 10 * self.spread_s
            self.world.at(self.world.now + late, functools.partial(each.set_keys, keys))

    def _other_version(self, node: worlds.Node) -> None:
        """Restart the speaker as one that reads another range of formats."""
        node.versions = (1, 3 - node.versions[1])
        self._restart(node)

    def _replay(self, node: worlds.Node) -> None:
        recorded = list(self.world.recorded)
        start = self.choose.number(0, max(0, len(recorded) - 1))
        segment = self._segment()
        for payload in recorded[start : start + 50]:
            node.receive(payload, segment)

    def _quiet(self, node: worlds.Node) -> None:
        pass

    def _publish(self) -> None:
        for node in self.world.nodes.values():
            late = self.choose.number(0, 10) / 10 * self.spread_s
            self.world.at(self.world.now + late, functools.partial(self._tell, node))

    def _tell(self, node: worlds.Node) -> None:
        declined = self.declined.get(node.name, set())
        nowhere = self.nowhere.get(node.name, set())
        node.set_children(
            dataclasses.replace(
                child,
                declined=child.address in declined,
                interfaces=() if child.address in nowhere else child.interfaces,
            )
            for child in self.children
        )


def start(
    choose: Chooser,
    *,
    size: int,
    addresses: int,
    seed: int,
    network: worlds.Network,
    more: Mapping[str, worlds.Network] | None = None,
) -> Scenario:
    """A cluster at rest, each address on its own preferred node, on each of the segments."""
    names = [f"n{number:02}" for number in range(1, size + 1)]
    world = worlds.World(names, seed, network, more)
    children = [
        worlds.listed(
            number + 1,
            *(names[number % size :] + names[: number % size])[:16],
            failback_delay_s=1.0,
            interfaces=tuple(world.networks),
        )
        for number in range(addresses)
    ]
    world.start(children)
    world.run(5.0)
    return Scenario(world, choose, children)
