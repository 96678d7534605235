# SPDX-License-Identifier: MIT
"""What can go wrong on the segment, done to the lab's switch and undone.

A port is the switch's end of a machine's cable: what the machine sends arrives at its ingress, and
what the machine hears leaves at its egress. Loss and copies are rules of nftables there, as the
kernel may lack netem.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence

from lab import inside

SWITCH = "switch"
HEARTBEATS = "ether type 0x88b5"
NEIGHBOURS = "icmpv6 type {nd-neighbor-solicit, nd-neighbor-advert}"
TABLE = "faults"


class Switch:
    """The switch of the lab."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab

    @contextlib.contextmanager
    def cut(self, *machines: str) -> Iterator[None]:
        """Pull cables out of the switch."""
        try:
            for machine in machines:
                self._ip("link", "set", _port(machine), "nomaster")
            yield
        finally:
            for machine in machines:
                self._ip("link", "set", _port(machine), "master", SWITCH)

    @contextlib.contextmanager
    def unplugged(self, machine: str) -> Iterator[None]:
        """Take the carrier from a machine's interface, which a cable that is cut here leaves it."""
        try:
            self._ip("link", "set", _port(machine), "down")
            yield
        finally:
            self._ip("link", "set", _port(machine), "up")

    @contextlib.contextmanager
    def split(self, *islands: Sequence[str]) -> Iterator[None]:
        """Put each group of machines on a switch of its own; the others stay where they are."""
        names = [f"island-{number}" for number in range(1, len(islands) + 1)]
        try:
            for name, machines in zip(names, islands, strict=True):
                self._ip("link", "add", name, "up", "type", "bridge")
                for machine in machines:
                    self._ip("link", "set", _port(machine), "master", name)
            yield
        finally:
            for name, machines in zip(names, islands, strict=True):
                for machine in machines:
                    self._ip("link", "set", _port(machine), "master", SWITCH)
                self._ip("link", "delete", name)

    @contextlib.contextmanager
    def unheard(self, machine: str) -> Iterator[None]:
        """Drop what a machine sends; it hears on."""
        with self._rules((machine, "ingress", "drop")):
            yield

    @contextlib.contextmanager
    def deaf(self, machine: str) -> Iterator[None]:
        """Drop what would reach a machine; it is heard on."""
        with self._rules((machine, "egress", "drop")):
            yield

    @contextlib.contextmanager
    def blocked(self, machine: str) -> Iterator[None]:
        """Drop a machine's heartbeats both ways, and nothing else, as an access list does."""
        rule = f"{HEARTBEATS} drop"
        with self._rules((machine, "ingress", rule), (machine, "egress", rule)):
            yield

    @contextlib.contextmanager
    def losing(self, machines: Sequence[str], percent: int) -> Iterator[None]:
        """Lose so many of the heartbeats of each machine, at random."""
        rule = f"{HEARTBEATS} numgen random mod 100 < {percent} drop"
        with self._rules(*((machine, "ingress", rule) for machine in machines)):
            yield

    @contextlib.contextmanager
    def duplicating(self, machines: Sequence[str]) -> Iterator[None]:
        """Deliver every heartbeat, ARP and NDP frame of each machine to each other one twice."""
        with self._rules(
            *(
                (source, "ingress", f'{kinds} dup to "{_port(to)}"')
                for source, to in itertools.permutations(machines, 2)
                for kinds in ("ether type {0x88b5, arp}", NEIGHBOURS)
            )
        ):
            yield

    @contextlib.contextmanager
    def forgetful(self, machines: Sequence[str]) -> Iterator[None]:
        """Let the switch learn no MAC at these ports, so that it floods what is sent to them."""
        try:
            for machine in machines:
                self._bridge("link", "set", "dev", _port(machine), "learning", "off")
                self._bridge("fdb", "flush", "dev", _port(machine), "master", "dynamic")
            yield
        finally:
            for machine in machines:
                self._bridge("link", "set", "dev", _port(machine), "learning", "on")

    @contextlib.contextmanager
    def listening(self, machine: str) -> Iterator[None]:
        """Hold a port in the state in which a bridge with STP learns, and forwards nothing yet."""
        try:
            self._bridge("link", "set", "dev", _port(machine), "state", "2")
            yield
        finally:
            self._bridge("link", "set", "dev", _port(machine), "state", "3")

    @contextlib.contextmanager
    def _rules(self, *rules: tuple[str, str, str]) -> Iterator[None]:
        """Have rules at ports: machine, hook and rule each."""
        lines = [f"add table netdev {TABLE}"]
        for machine, hook, rule in rules:
            chain = f"netdev {TABLE} {machine}-{hook}"
            device = f'device "{_port(machine)}"'
            lines += [
                f"add chain {chain} {{ type filter hook {hook} {device} priority 0; }}",
                f"add rule {chain} {rule}",
            ]
        try:
            self._nft("\n".join(lines))
            yield
        finally:
            self._nft(f"delete table netdev {TABLE}")

    def _nft(self, script: str) -> None:
        self._lab.run(None, "nft", "-f", "-", standard_input=script + "\n")

    def _ip(self, *words: str) -> None:
        self._lab.run(None, "ip", *words)

    def _bridge(self, *words: str) -> None:
        self._lab.run(None, "bridge", *words)


def _port(machine: str) -> str:
    return f"port-{machine}"
