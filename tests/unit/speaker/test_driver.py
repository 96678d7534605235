# SPDX-License-Identifier: MIT
"""Two speakers' drivers and a client on one Ethernet segment, with real sockets."""

import asyncio
import contextlib
import dataclasses
import ipaddress
import itertools
import pathlib
import subprocess
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from scapy.layers import inet6, l2

from contract import pool
from speaker import driver
from speaker.links import table, watch
from speaker.protocol import events
from speaker.wire import packet, probes, reasons

pytestmark = pytest.mark.namespace
HELD = ipaddress.ip_address("192.0.2.10")
SIX = ipaddress.ip_address("2001:db8::10")
CLIENT = "c0"
closing = contextlib.ExitStack()  # one test a process, and so one stack


class Told:
    """What one driver reported."""

    def __init__(self) -> None:
        self.actions: list[events.Action] = []
        self.conflicts: list[tuple[str, pool.Address, bytes]] = []
        self.stalls: list[float] = []
        self.unopened: list[str] = []

    def acted(self, action: events.Action, now: float) -> None:
        self.actions.append(action)

    def conflicted(self, interface: str, address: pool.Address, mac: bytes, now: float) -> None:
        self.conflicts.append((interface, address, mac))

    def stalled(self, age_s: float) -> None:
        self.stalls.append(age_s)

    def could_not_open(self, interface: str, error: OSError) -> None:
        self.unopened.append(interface)


class Speaker:
    """A driver with its own port on the switch."""

    def __init__(self, node: str, pace: probes.Pace = probes.OFF) -> None:
        self.told = Told()
        self.driver = driver.Driver(
            events.Config(group="test", node=node, epoch=node.encode() * 8, keys=(b"k" * 32,)),
            self.told,
            pace=pace,
            announce_rate=200.0,
            announce_burst=50,
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


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def groups(interface: str) -> set[str]:
    """Return the IPv6 groups joined on an interface."""
    command = ["ip", "-6", "maddr", "show", "dev", interface]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split()[1] for line in shown.splitlines() if "inet6" in line}


def plug(*names: str) -> None:
    """Connect interfaces of these names to one switch."""
    # All hosts are one kernel here: it answers only where an address is.
    pathlib.Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1", encoding="ascii")
    ip("link", "add", "name", "switch", "type", "bridge")
    ip("link", "set", "switch", "up")
    for name in names:
        ip("link", "add", "name", name, "type", "veth", "peer", "name", f"port-{name}")
        ip("link", "set", f"port-{name}", "master", "switch", "up")
        ip("link", "set", name, "up")


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

    follower = watch.LinkWatch(changed)
    try:
        return await found
    finally:
        follower.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the kernel or a protocol's own clock brings about."""
    while not condition():  # noqa: ASYNC110 - what is waited for is no event of this loop
        await asyncio.sleep(0.005)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        with closing:
            async with asyncio.timeout(30):
                await test()

    asyncio.run(bounded())


class Client:
    """A host that is no speaker."""

    def __init__(self, links: table.Table) -> None:
        self.mac = mac_of(links, CLIENT)
        self.arp = packet.PacketSocket(CLIENT, packet.ETH_P_ARP)
        closing.callback(self.arp.close)
        self.ndp = packet.PacketSocket(CLIENT, packet.ETH_P_IPV6)
        closing.callback(self.ndp.close)

    def ask(self, address: pool.Address, **fields: object) -> None:
        if isinstance(address, ipaddress.IPv4Address):
            claim = {"op": 1, "hwsrc": self.mac, "psrc": "192.0.2.99", "pdst": str(address)}
            ethernet = l2.Ether(src=self.mac, dst="ff:ff:ff:ff:ff:ff")
            self.arp.send(bytes(ethernet / l2.ARP(**(claim | fields))))
        else:
            self.ndp.send(
                bytes(
                    l2.Ether(src=self.mac, dst="33:33:ff:00:00:10")
                    / inet6.IPv6(src="2001:db8::99", dst="ff02::1:ff00:10", hlim=255)
                    / inet6.ICMPv6ND_NS(tgt=str(address))
                    / inet6.ICMPv6NDOptSrcLLAddr(lladdr=self.mac)
                )
            )

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


def test_the_preferred_node_answers_and_the_stand_in_takes_over_when_it_leaves() -> None:
    plug("a0", "b0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        client = Client(table_now)
        first, second = Speaker("a"), Speaker("b")
        for speaker, name in ((first, "a0"), (second, "b0")):
            children = [listed(address, name, "a", "b") for address in (HELD, SIX)]
            speaker.use(table_now, name, *children)
        await until(lambda: first.held == {HELD, SIX} and first.peers and second.peers)
        for address in (HELD, SIX):
            assert await client.answered(address) == mac_of(table_now, "a0")
        first.driver.tell(events.Leave())
        await until(lambda: events.Left() in first.told.actions)
        assert second.held == {HELD, SIX}
        assert not first.held
        for address in (HELD, SIX):
            assert await client.answered(address) == mac_of(table_now, "b0")

    run(scenario)


def test_a_stranger_with_the_address_is_found_before_it_is_used() -> None:
    plug("a0", CLIENT)
    ip("addr", "add", f"{HELD}/24", "dev", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a", probes.SHORT)
        speaker.use(table_now, "a0", listed(HELD, "a0", "a", announced=False))
        await until(lambda: any(isinstance(a, events.InUse) for a in speaker.told.actions))
        stranger = next(a for a in speaker.told.actions if isinstance(a, events.InUse))
        assert stranger.address == HELD
        assert stranger.answered_by.hex(":") == mac_of(table_now, CLIENT)
        assert not speaker.held

    run(scenario)


def test_a_later_claim_by_a_stranger_is_reported_and_the_address_kept() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        client = Client(table_now)
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(HELD, "a0", "a"))
        await until(lambda: speaker.held)
        client.ask(HELD, psrc=str(HELD))
        await until(lambda: speaker.told.conflicts)
        interface, address, mac = speaker.told.conflicts[0]
        assert (interface, address, mac.hex(":")) == ("a0", HELD, client.mac)
        assert speaker.held == {HELD}

    run(scenario)


def test_after_standing_still_nothing_is_answered_from_the_past() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        client = Client(table_now)
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(HELD, "a0", "a"))
        await until(lambda: speaker.held)
        for _ in range(20):
            client.ask(HELD)
        # The process stands still with questions in its queue, past its fence.
        still_s = speaker.driver.core.fence_at - time.monotonic() + 0.05
        time.sleep(still_s)  # noqa: ASYNC251 - the loop must not turn
        await until(lambda: speaker.told.stalls)
        protocol = speaker.driver.segments["a0"].channels["arp"]
        assert protocol.answered == 0
        releases = [a for a in speaker.told.actions if isinstance(a, events.Release)]
        assert [a.cause for a in releases] == [events.ReleaseCause.STALLED]
        await until(lambda: speaker.held)
        assert await client.answered(HELD) == mac_of(table_now, "a0")

    run(scenario)


def test_an_interface_that_vanishes_takes_its_addresses_along_and_brings_them_back() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(HELD, "a0", "a"))
        await until(lambda: speaker.held)
        ip("link", "del", "a0")
        speaker.driver.use_links([], ["a0"])
        assert not speaker.held
        assert not speaker.driver.segments
        ip("link", "add", "name", "a0", "type", "veth", "peer", "name", "port-a0")
        ip("link", "set", "port-a0", "master", "switch", "up")
        ip("link", "set", "a0", "up")
        again = await links()
        speaker.follow(again, "a0")
        await until(lambda: speaker.held == {HELD})
        assert await Client(again).answered(HELD) == mac_of(again, "a0")

    run(scenario)


def test_a_changed_mac_is_announced_anew() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(HELD, "a0", "a"))
        await until(lambda: speaker.held)
        ip("link", "set", "a0", "address", "02:00:00:00:00:77")
        again = await links()
        speaker.follow(again, "a0")
        await until(lambda: speaker.held)
        assert await Client(again).answered(HELD) == "02:00:00:00:00:77"

    run(scenario)


def test_frames_about_other_addresses_do_not_wake_the_process() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        client = Client(table_now)
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(HELD, "a0", "a"))
        await until(lambda: speaker.held)
        for last in range(100, 200):
            client.ask(ipaddress.IPv4Address(f"192.0.2.{last}"))
        await client.answered(HELD)
        protocol = speaker.driver.segments["a0"].channels["arp"]
        assert protocol.answered >= 1
        assert protocol.ignored[reasons.Ignored.NOT_OURS] == 0

    run(scenario)


def test_an_ipv6_address_is_asked_for_where_mld_snooping_switches_deliver() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a")
        speaker.use(table_now, "a0", listed(SIX, "a0", "a"))
        opened = speaker.driver.segments["a0"]
        many = [ipaddress.IPv6Address(f"2001:db8::{index:x}") for index in range(1, 201)]
        opened.listen_for([*many, SIX])
        assert groups("a0") >= {f"ff02::1:ff00:{index:x}" for index in range(1, 201)}
        opened.listen_for([SIX])
        assert "ff02::1:ff00:10" in groups("a0")
        assert "ff02::1:ff00:11" not in groups("a0")

    run(scenario)


def test_a_macvlan_without_an_address_announces() -> None:
    plug("a0", CLIENT)
    ip("link", "add", "link", "a0", "name", "m0", "type", "macvlan", "mode", "bridge")
    ip("link", "set", "m0", "up")

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a")
        speaker.use(table_now, "m0", listed(HELD, "m0", "a"), listed(SIX, "m0", "a"))
        speaker.driver.segments["m0"].listen_for([SIX])  # a macvlan lets only its groups through
        await until(lambda: speaker.held == {HELD, SIX})
        client = Client(table_now)
        for address in (HELD, SIX):
            assert await client.answered(address) == mac_of(table_now, "m0")

    run(scenario)


def test_an_interface_that_can_not_be_opened_is_reported_and_the_others_serve() -> None:
    plug("a0", CLIENT)

    async def scenario() -> None:
        table_now = await links()
        speaker = Speaker("a")
        real = table_now.named("a0")
        assert real is not None
        gone = dataclasses.replace(real, index=99, name="b0")
        speaker.driver.use_links([real, gone], ["a0", "b0"])
        speaker.driver.tell(events.ChildrenChanged((listed(HELD, "a0", "a"),), complete=True))
        await until(lambda: speaker.held == {HELD})
        assert speaker.told.unopened == ["b0"]

    run(scenario)
