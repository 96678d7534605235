# SPDX-License-Identifier: MIT
"""The network of a node's Pods: addresses, namespaces, and sockets opened within them.

Each Pod is a network namespace behind a veth of its own, and every packet
between two Pods is routed by the node. A bridge would let two Pods of a node
answer each other past the node's connection tracking, and so break a
connection through a ClusterIP.
"""

import asyncio
import concurrent.futures
import ctypes
import ipaddress
import itertools
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import errors

CLONE_NEWNET = 0x40000000  # <sched.h>
NAMESPACES = Path("/run/netns")
POD_UPLINK = "eth0"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Place:
    """A Pod's place in the network: its number on the node, its namespace and its addresses."""

    number: int
    netns: str
    addresses: tuple[Address, ...]


class Numbers:
    """Gives each Pod of a node a number; the number is its address's place in every subnet.

    1 is the node's own side. A number that became free is given again only when
    all others have been, so that nobody reaches a new Pod under an old address.
    """

    def __init__(self, subnets: Sequence[Subnet]) -> None:
        self._last = min(subnet.num_addresses for subnet in subnets) - 2
        self._taken: set[int] = set()
        self._next = 2

    def take(self) -> int:
        """Return a free number; raise :class:`~lab.errors.LabError` when there is none."""
        for number in itertools.chain(range(self._next, self._last + 1), range(2, self._next)):
            if number not in self._taken:
                self._taken.add(number)
                self._next = number + 1
                return number
        raise errors.LabError(
            f"all {self._last - 1} addresses of this node's Pods are taken: delete some Pods"
        )

    def give_back(self, number: int) -> None:
        """Make a number free."""
        self._taken.discard(number)


class PodNetwork:
    """Builds and removes the namespaces of one node's Pods, any number of them at a time."""

    def __init__(self, node: str, netns: str, subnets: Sequence[str]) -> None:
        self._node = node
        self._netns = netns
        self._subnets = tuple(ipaddress.ip_network(subnet) for subnet in subnets)
        self._numbers = Numbers(self._subnets)

    async def create(self) -> Place:
        """Make a namespace with addresses and a default route, reachable from the node."""
        number = self._numbers.take()
        netns = f"{self._node}-pod-{number}"
        addresses = tuple(subnet[number] for subnet in self._subnets)
        place = Place(number, netns, addresses)
        try:
            await _ip("netns", "add", netns)
            await _ip("-n", self._netns, "-batch", "-", commands=self._node_side(place))
            await _ip("-n", netns, "-batch", "-", commands=self._pod_side(place))
        except errors.LabError:
            await self.destroy(place)
            raise
        return place

    async def destroy(self, place: Place) -> None:
        """Remove a Pod's namespace, and with it its link; what is gone already is no error."""
        await _ip("netns", "del", place.netns, check=False)
        self._numbers.give_back(place.number)

    async def clear(self) -> None:
        """Remove every Pod's namespace of this node, also an earlier agent's."""
        prefix = f"{self._node}-pod-"
        names = await asyncio.to_thread(os.listdir, NAMESPACES)
        left = [name for name in names if name.startswith(prefix)]
        namespaces = (f"netns del {name}" for name in left)
        await _ip("-force", "-batch", "-", commands=namespaces, check=False)

    def _node_side(self, place: Place) -> Iterator[str]:
        veth = f"pod-{place.number}"
        yield f"link add {veth} type veth peer name {POD_UPLINK} netns {place.netns}"
        for subnet in self._subnets:
            yield f"address add {subnet[1]}/{subnet.max_prefixlen} dev {veth}{_nodad(subnet)}"
        yield f"link set {veth} up"
        for address in place.addresses:
            yield f"route add {address}/{address.max_prefixlen} dev {veth}"

    def _pod_side(self, place: Place) -> Iterator[str]:
        yield "link set lo up"
        for subnet, address in zip(self._subnets, place.addresses, strict=True):
            yield f"address add {address}/{address.max_prefixlen} dev {POD_UPLINK}{_nodad(subnet)}"
        yield f"link set {POD_UPLINK} up"
        for subnet in self._subnets:
            yield f"route add {subnet[1]}/{subnet.max_prefixlen} dev {POD_UPLINK}"
            yield f"route add default via {subnet[1]} dev {POD_UPLINK}"


def _nodad(subnet: Subnet) -> str:
    # The addresses are ours by construction; detection would make them unusable for a second.
    return " nodad" if subnet.version == 6 else ""  # noqa: PLR2004 - IPv6


async def _ip(*arguments: str, commands: Iterator[str] | None = None, check: bool = True) -> None:
    process = await asyncio.create_subprocess_exec(
        "ip",
        *arguments,
        stdin=asyncio.subprocess.PIPE if commands else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    batch = "\n".join(commands).encode() if commands else None
    _, complaint = await process.communicate(batch)
    if check and process.returncode:
        raise errors.LabError(
            f"ip {' '.join(arguments)} failed with status {process.returncode}: "
            f"{complaint.decode(errors='replace').strip()}"
        )


class Doorway:
    """Opens sockets in another network namespace, for probes that come from the node.

    A socket belongs to the namespace of the thread that makes it, for ever, so
    one thread of ours lives there and does nothing but make them.
    """

    def __init__(self, netns: str) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(
            1, f"doorway-{netns}", _enter, (NAMESPACES / netns,)
        )

    async def socket(self, family: socket.AddressFamily) -> socket.socket:
        """Make a non-blocking TCP socket there."""
        made = await asyncio.get_running_loop().run_in_executor(
            self._executor, socket.socket, family, socket.SOCK_STREAM
        )
        made.setblocking(False)
        return made

    def close(self) -> None:
        """End the thread; sockets made stay open."""
        self._executor.shutdown(wait=False)


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))
    finally:
        os.close(descriptor)
