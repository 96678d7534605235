# SPDX-License-Identifier: MIT
"""An Ethernet segment in a network namespace, speakers' drivers and a client on it."""

import asyncio
import contextlib
import ipaddress
import itertools
import pathlib
import subprocess
import time
from collections.abc import Callable, Collection

from scapy.layers import inet6, l2

from contract import pool
from speaker import driver
from speaker.links import table, watch
from speaker.protocol import events
from speaker.wire import packet, probes

HELD = ipaddress.ip_address("192.0.2.10")
SIX = ipaddress.ip_address("2001:db8::10")
CLIENT = "c0"
RATE, BURST = 200.0, 50  # announcements
closing = contextlib.ExitStack()  # one test a process, and so one stack; conftest.py closes it


class Told:
    """What one driver reported."""

    def __init__(self) -> None:
        self.actions: list[events.Action] = []
        self.conflicts: list[tuple[str, pool.Address, bytes]] = []
        self.stalls: list[float] = []
        self.fenced: set[str] = set()
        self.refused: list[str] = []
        self.late: list[float] = []
        self.unopened: list[str] = []

    def acted(self, action: events.Action, now: float) -> None:
        self.actions.append(action)

    def conflicted(self, interface: str, address: pool.Address, mac: bytes, now: float) -> None:
        self.conflicts.append((interface, address, mac))

    def stalled(self, interfaces: Collection[str], age_s: float, now: float) -> None:
        self.stalls.append(age_s)
        self.fenced.update(interfaces)

    def could_not_send(self, interface: str, now: float) -> None:
        self.refused.append(interface)

    def woken(self, late_s: float) -> None:
        self.late.append(late_s)

    def could_not_open(self, interface: str, error: OSError) -> None:
        self.unopened.append(interface)


class Speaker:
    """A driver with its own port on the switch."""

    def __init__(
        self, node: str, pace: probes.Pace = probes.OFF, keys: tuple[bytes, ...] = (b"k" * 32,)
    ) -> None:
        self.told = Told()
        self.driver = driver.Driver(
            events.Config(group="test", node=node, epoch=node.encode() * 8, keys=keys),
            self.told,
            pace=pace,
            announce_rate=RATE,
            announce_burst=BURST,
        )
        closing.callback(self.driver.close)

    def use(self, links: table.Table, name: str, *listed: events.Listed) -> None:
        self.follow(links, name)
        self.driver.tell(events.ChildrenChanged(listed, complete=True))

    def follow(self, links: table.Table, name: str) -> None:
        self.driver.use_links([link for link in links.links.values() if link.name == name], [name])

    @property
    def peers(self) -> list[str]:
        view = self.driver.core.view(time.monotonic())
        return [peer.node for peer in view.peers if peer.alive and peer.fit]

    @property
    def held(self) -> set[pool.Address]:
        return {a for opened in self.driver.segments.values() for a in opened.held}


def listed(
    address: pool.Address, interface: str, *nodes: str, announced: bool = True
) -> events.Listed:
    return events.Listed(
        address=address,
        nodes=nodes,
        list_version=1,
        created=1,
        failback_delay_s=0.0,
        interfaces=(interface,),
        announced=announced,
    )


def stand_still(speaker: Speaker) -> None:
    """Keep this process from its event loop until the speaker's fence has passed."""
    time.sleep(max(0.0, speaker.driver.core.fence_at - time.monotonic()) + 0.05)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def groups(interface: str) -> set[str]:
    """Return the IPv6 groups joined on an interface."""
    command = ["ip", "-6", "maddr", "show", "dev", interface]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[1] for line in shown.splitlines() if "inet6" in line}


def _answer_only_where_an_address_is() -> None:
    """Have the kernel, which is all these hosts in one, tell them apart."""
    pathlib.Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1", encoding="ascii")


async def plug(*names: str) -> table.Table:
    """Connect interfaces of these names to one switch; return the links."""
    _answer_only_where_an_address_is()
    ip("link", "add", "name", "switch", "type", "bridge")
    ip("link", "set", "switch", "up")
    for name in names:
        ip("link", "add", "name", name, "type", "veth", "peer", "name", f"port-{name}")
        ip("link", "set", f"port-{name}", "master", "switch", "up")
        ip("link", "set", name, "up")
    return await links()


def mac_of(links: table.Table, name: str) -> str:
    link = links.named(name)
    assert link is not None
    return link.mac.hex(":")


async def links() -> table.Table:
    """Return the links once all have their carrier."""
    found: asyncio.Future[table.Table] = asyncio.get_running_loop().create_future()

    def changed(now: table.Table) -> None:
        names = [link for link in now.links.values() if len(link.name) == 2 and link.ethernet]
        if all(link.carrier for link in names) and not found.done():
            found.set_result(now)

    def failed(why: str) -> None:
        found.set_exception(OSError(why))

    follower = watch.LinkWatch(changed, failed)
    try:
        return await found
    finally:
        follower.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the kernel or a protocol's own clock brings about."""
    while not condition():  # noqa: ASYNC110 - what is waited for is no event of this loop
        await asyncio.sleep(0.005)


async def holder(links: table.Table, pace: probes.Pace = probes.OFF) -> Speaker:
    """Return a speaker, the only one, that holds an address on `a0`."""
    speaker = Speaker("a", pace)
    speaker.use(links, "a0", listed(HELD, "a0", "a"))
    await until(lambda: speaker.held)
    return speaker


class Client:
    """A host that is no speaker."""

    def __init__(self, links: table.Table) -> None:
        self.mac = mac_of(links, CLIENT)
        self.arp = packet.PacketSocket(CLIENT, packet.ETH_P_ARP)
        closing.callback(self.arp.close)
        self.ndp = packet.PacketSocket(CLIENT, packet.ETH_P_IPV6)
        closing.callback(self.ndp.close)

    def ask(self, address: pool.Address, times: int = 1, **fields: object) -> None:
        if isinstance(address, ipaddress.IPv4Address):
            claim = {"op": 1, "hwsrc": self.mac, "psrc": "192.0.2.99", "pdst": str(address)}
            ethernet = l2.Ether(src=self.mac, dst="ff:ff:ff:ff:ff:ff")
            sock, question = self.arp, bytes(ethernet / l2.ARP(**(claim | fields)))
        else:
            sock, question = (
                self.ndp,
                bytes(
                    l2.Ether(src=self.mac, dst="33:33:ff:00:00:10")
                    / inet6.IPv6(src="2001:db8::99", dst="ff02::1:ff00:10", hlim=255)
                    / inet6.ICMPv6ND_NS(tgt=str(address))
                    / inet6.ICMPv6NDOptSrcLLAddr(lladdr=self.mac)
                ),
            )
        for _ in range(times):
            sock.send(question)

    async def answered(self, address: pool.Address) -> str:
        """Return the MAC that answers the client's question."""
        for attempt in itertools.count():
            if attempt % 100 == 0:  # a question may fall into a stall of this busy machine
                self.ask(address)
            for sock, where in ((self.arp, l2.ARP), (self.ndp, inet6.ICMPv6ND_NA)):
                while (raw := sock.next(256)) is not None:
                    frame = l2.Ether(raw)
                    if frame.dst != self.mac or not frame.haslayer(where):
                        continue
                    said = frame[where].psrc if where is l2.ARP else frame[where].tgt
                    if said == str(address):
                        return str(frame.src)
            await asyncio.sleep(0.002)
        raise AssertionError("counting does not end")
