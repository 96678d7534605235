# SPDX-License-Identifier: MIT
"""Who is on the lab's switches, and with which addresses.

Every machine has two uplinks: ``eth0`` on the bridge ``switch`` and ``eth1`` on
the bridge ``switch-2``. The machine's number is the last part of its addresses
and of its MACs. The lab's own namespace, where the control plane runs, has the
number 1 on both bridges.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab import errors

CONTROL_PLANE = 1
FIRST_NODE = 11
LAST_NODE = 90
MOST_NODES = LAST_NODE - FIRST_NODE + 1
CLIENT = 100
FIRST_STRANGER = 101
LAST_STRANGER = 120

SERVICE_SUBNETS = ("10.96.0.0/16", "fd96::/108")
POD_SUBNETS = ("10.88.0.0/16", "fd88::/16")  # a node has a /24 and a /64 of them

NAME = re.compile(r"[a-z]([a-z0-9-]{0,7}[a-z0-9])?")  # "port2-" + name fits IFNAMSIZ


@dataclass(frozen=True, slots=True)
class Switch:
    """A bridge in the lab's own namespace."""

    name: str
    uplink: str
    port_prefix: str
    network: int

    def addresses(self, number: int) -> tuple[ipaddress.IPv4Interface, ipaddress.IPv6Interface]:
        """Return the addresses, with prefix length, of a machine on this switch."""
        v4 = ipaddress.IPv4Interface(f"10.{self.network}.0.{number}/24")
        # The digits of both families are alike, so that people recognise a machine.
        return v4, ipaddress.IPv6Interface(f"fd{self.network}::{number}/64")

    def mac(self, number: int) -> str:
        """Return a machine's MAC; it stays the same over power cuts."""
        return f"52:54:00:{self.network}:00:{number:02x}"


SWITCHES = (
    Switch("switch", "eth0", "port-", 77),
    Switch("switch-2", "eth1", "port2-", 78),
)
ADDRESSES = SWITCHES[0].addresses(CONTROL_PLANE)


@dataclass(frozen=True, slots=True)
class Machine:
    """A host on the switches: a network namespace of that name."""

    name: str
    number: int

    @property
    def addresses(self) -> tuple[str, str]:
        """Its IPv4 and IPv6 address on the first switch."""
        v4, v6 = SWITCHES[0].addresses(self.number)
        return str(v4.ip), str(v6.ip)

    @property
    def pod_subnets(self) -> tuple[str, ...]:
        """The subnets of its Pods, IPv4 and IPv6; empty unless it is a node."""
        if not FIRST_NODE <= self.number <= LAST_NODE:
            return ()
        index = self.number - FIRST_NODE + 1
        return f"10.88.{index}.0/24", f"fd88:{index}::/64"


def node(index: int) -> Machine:
    """Return the machine of ``node-<index>``, counted from 1."""
    if not 1 <= index <= MOST_NODES:
        raise errors.LabError(f"a lab has 1 to {MOST_NODES} nodes, not {index}")
    return Machine(f"node-{index}", FIRST_NODE + index - 1)


def client() -> Machine:
    """Return the machine that stands for the users of the cluster."""
    return Machine("client", CLIENT)


def stranger(name: str, present: Iterable[Machine]) -> Machine:
    """Return a further plain machine, with the first free number."""
    taken = {machine.number for machine in present}
    if not NAME.fullmatch(name):
        raise errors.LabError(
            f"{name!r} cannot name a machine: use at most 9 lower-case letters, digits "
            "and dashes, a letter first and no dash last"
        )
    if name.startswith("node-") or name in {machine.name for machine in present}:
        raise errors.LabError(f"the name {name!r} is taken: choose another for the machine")
    for number in _stranger_numbers():
        if number not in taken:
            return Machine(name, number)
    raise errors.LabError(f"all {len(list(_stranger_numbers()))} places for machines are taken")


def _stranger_numbers() -> Iterator[int]:
    yield from range(FIRST_STRANGER, LAST_STRANGER + 1)
