# SPDX-License-Identifier: MIT
import asyncio
import errno
import ipaddress
import os
import pathlib
import socket
import struct
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import pool
from speaker.links import ipvs, rtnetlink, table, watch

MAC = b"\x02\0\0\0\0\1"


def link(index: int, name: str, **fields: object) -> table.Link:
    defaults: dict[str, object] = {"ethernet": True, "carrier": True}
    return table.Link(index, name, MAC, **(defaults | fields))  # type: ignore[arg-type]


LINKS = table.Table(
    links={
        1: link(1, "lo", ethernet=False),
        2: link(2, "eth0"),
        3: link(3, "eth1"),
        4: link(4, "bond0"),
        5: link(5, "eno1", master=4, port_of="bond"),
        6: link(6, "eth7", master=9, port_of="vrf"),
        7: link(7, "wg0", ethernet=False),
    },
    subnets={
        2: frozenset({ipaddress.ip_network("192.0.2.0/24")}),
        4: frozenset({ipaddress.ip_network("198.51.100.0/24")}),
        7: frozenset({ipaddress.ip_network("203.0.113.0/24")}),
    },
    default_links={4: (3,), 6: (5,)},
)


@pytest.mark.parametrize(
    ("address", "patterns", "names"),
    [
        ("192.0.2.10", (), ["eth0"]),
        ("198.51.100.10", (), ["bond0"]),
        ("10.0.0.1", (), ["eth1"]),  # no subnet holds it: the default route's
        ("2001:db8::1", (), ["bond0"]),  # that is a port: its master speaks for it
        ("203.0.113.1", (), []),  # the subnet's interface has no Ethernet
        ("192.0.2.10", ("eth1",), ["eth1"]),
        ("192.0.2.10", ("eth*", "bond*"), ["bond0", "eth0", "eth1", "eth7"]),
        ("192.0.2.10", ("eno*",), ["bond0"]),
        ("192.0.2.10", ("lo", "wg0"), []),
        ("192.0.2.10", ("ETH0",), []),
    ],
)
def test_where_an_address_is_announced(
    address: str, patterns: tuple[str, ...], names: list[str]
) -> None:
    announcing = LINKS.announcing(ipaddress.ip_address(address), patterns)
    assert [link.name for link in announcing] == names


def test_masters_in_a_circle_end() -> None:
    circle = table.Table(
        links={
            1: link(1, "a", master=2, port_of="bond"),
            2: link(2, "b", master=1, port_of="bond"),
        },
        subnets={},
        default_links={},
    )
    assert len(circle.announcing(ipaddress.ip_address("192.0.2.1"), ("a",))) <= 1


@pytest.mark.parametrize(
    ("address", "length", "subnet"),
    [
        ("192.0.2.10", 24, "192.0.2.0/24"),
        ("192.0.2.10", 32, None),
        ("2001:db8::10", 64, "2001:db8::/64"),
        ("2001:db8::10", 128, None),
        ("fe80::1", 64, None),
        ("169.254.1.1", 16, None),
    ],
)
def test_host_routes_and_link_local_addresses_span_no_subnet(
    address: str, length: int, subnet: str | None
) -> None:
    found = table.subnet_of(ipaddress.ip_address(address).packed, length)
    assert found == (subnet and ipaddress.ip_network(subnet))


@given(datagram=st.binary(max_size=300))
def test_noise_from_the_kernel_does_no_harm(datagram: bytes) -> None:
    for message in rtnetlink.messages(datagram):
        assert len(message.body) <= len(datagram)


@given(attributes=st.binary(max_size=100))
def test_strange_attributes_do_no_harm(attributes: bytes) -> None:
    parsed = rtnetlink.parse_link(struct.pack("=BxHiII", 0, 1, 7, 0x41, 0) + attributes)
    assert parsed is None or parsed.index == 7


def test_a_bridges_port_table_is_no_link() -> None:
    assert rtnetlink.parse_link(struct.pack("=BxHiII", 7, 1, 7, 0x41, 0)) is None


def test_what_a_wireless_link_tells_of_a_scan_is_no_link_without_its_address() -> None:
    head = struct.pack("=BxHiII", 0, 1, 7, 0x41, 0)
    name = struct.pack("=HH8s", 12, 3, b"wlan0")
    scan = struct.pack("=HH4x", 8, 11)
    assert rtnetlink.parse_link(head + name) is not None
    assert rtnetlink.parse_link(head + name + scan) is None


@pytest.mark.parametrize(
    ("interface", "arp_ignore", "complains"),
    [("kube-ipvs0", "0\n", True), ("kube-ipvs0", "1\n", False), ("eth0", "0\n", False)],
)
def test_ipvs_without_strict_arp_is_complained_of(
    tmp_path: pathlib.Path, interface: str, arp_ignore: str, *, complains: bool
) -> None:
    setting = tmp_path / "arp_ignore"
    setting.write_text(arp_ignore, encoding="ascii")
    links = table.Table(links={9: link(9, interface)}, subnets={}, default_links={})
    complaint = ipvs.complaint(links, setting)
    assert ("strictARP" in (complaint or "")) == complains


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def eth0(now: table.Table) -> table.Link:
    found = now.named("eth0")
    return found or link(0, "gone", carrier=False, ethernet=False)


INSIDE = ipaddress.ip_address("192.0.2.9")


class Tables:
    """What a LinkWatch has shown."""

    def __init__(self) -> None:
        self.shown: list[table.Table] = []
        self.faults: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, now: table.Table) -> None:
        self.shown.append(now)
        self._news.set()

    def failed(self, why: str) -> None:
        self.faults.append(why)

    async def until(self, condition: Callable[[table.Table], object]) -> None:
        while not (self.shown and condition(self.shown[-1])):
            self._news.clear()
            await self._news.wait()


def batch(*lines: str) -> None:
    """Have many changes made at once."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@pytest.mark.namespace
async def test_links_are_followed_as_they_come_change_and_go() -> None:
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    await tables.until(lambda now: now.named("lo"))
    ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer")
    await tables.until(lambda now: eth0(now).ethernet and not eth0(now).carrier)
    ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    ip("link", "set", "peer", "up")
    ip("link", "set", "eth0", "up")
    elsewhere = ipaddress.ip_address("10.0.0.1")
    await tables.until(lambda now: eth0(now).carrier and now.announcing(INSIDE, ()))
    ip("route", "add", "default", "via", "192.0.2.254")
    await tables.until(lambda now: now.announcing(elsewhere, ()))
    ip("link", "set", "peer", "down")  # the cable is pulled
    await tables.until(lambda now: not eth0(now).carrier)
    ip("link", "set", "peer", "up")
    await tables.until(lambda now: eth0(now).carrier)
    ip("link", "set", "eth0", "down")  # the kernel drops the routes without a word
    await tables.until(lambda now: not now.default_links)
    ip("link", "set", "eth0", "address", "02:00:00:00:00:09", "up")
    await tables.until(lambda now: eth0(now).mac == bytes.fromhex("020000000009"))
    ip("link", "add", "name", "br0", "type", "bridge")
    ip("link", "set", "eth0", "master", "br0")
    await tables.until(lambda now: eth0(now).is_port)
    assert [link.name for link in tables.shown[-1].announcing(INSIDE, ("eth0",))] == ["br0"]
    ip("link", "set", "eth0", "nomaster")
    await tables.until(lambda now: not eth0(now).is_port)
    ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    await tables.until(lambda now: not now.announcing(INSIDE, ()))
    ip("link", "del", "eth0")
    await tables.until(lambda now: now.named("eth0") is None and now.named("peer") is None)
    follower.close()


@pytest.mark.namespace
async def test_what_is_lost_while_all_is_dumped_is_dumped_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "_RECEIVE_BUFFER_B", 1 << 14)
    pairs = range(50)
    batch(*(f"link add name d{n} type veth peer name e{n}" for n in pairs))
    ip("addr", "add", "192.0.2.1/24", "dev", "d7")
    tables = Tables()
    follower = watch.LinkWatch(
        tables, tables.failed
    )  # its first dump is under way, and nobody reads
    batch(*(f"link set {side}{n} mtu 1400" for n in pairs for side in "de"), "link del d49")
    await tables.until(lambda now: now.announcing(INSIDE, ()))
    assert {link.name for link in tables.shown[-1].links.values()} >= {
        f"{side}{n}" for n in pairs[:-1] for side in "de"
    }
    assert tables.shown[-1].named("d49") is None
    # And messages that are lost later on.
    batch(*(f"link set {side}{n} mtu 1500" for n in pairs[:-1] for side in "de"), "link del d48")
    batch("addr del 192.0.2.1/24 dev d7", "addr add 192.0.2.1/24 dev d8")
    await tables.until(lambda now: now.named("d48") is None and now.announcing(INSIDE, ()))
    assert [link.name for link in tables.shown[-1].announcing(INSIDE, ())] == ["d8"]
    follower.close()


@pytest.mark.namespace
@pytest.mark.parametrize(("refusals", "told"), [(1, []), (5, [os.strerror(errno.EOPNOTSUPP)])])
async def test_a_dump_that_the_kernel_refuses_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, refusals: int, told: list[str]
) -> None:
    ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer")
    ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    monkeypatch.setattr(watch, "REPEAT_AFTER_S", 0.0)
    request = rtnetlink.dump_request
    asked: list[int] = []

    def some_nonsense(kind: int, sequence: int) -> bytes:
        asked.append(kind)
        refused = kind == rtnetlink.RTM_GETADDR and asked.count(kind) <= refusals
        return request(1000 if refused else kind, sequence)

    monkeypatch.setattr(rtnetlink, "dump_request", some_nonsense)
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    await tables.until(lambda now: now.named("eth0"))
    # Nothing is shown that lacks what was refused.
    assert len(tables.shown) == 1
    assert tables.shown[0].announcing(INSIDE, ())
    assert tables.faults == told
    follower.close()


@pytest.mark.namespace
async def test_links_are_followed_while_no_dump_of_routes_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer")
    ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    for name in ("eth0", "peer"):
        ip("link", "set", name, "up")
    ip("route", "add", "default", "via", "192.0.2.254")
    monkeypatch.setattr(watch, "REPEAT_AFTER_S", 0.0)
    request = rtnetlink.dump_request
    refused: set[int] = set()

    def nonsense(kind: int, sequence: int) -> bytes:
        return request(1000 if kind in refused else kind, sequence)

    monkeypatch.setattr(rtnetlink, "dump_request", nonsense)
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    await tables.until(lambda now: now.default_links)
    refused.add(rtnetlink.RTM_GETROUTE)
    ip("route", "del", "default")
    ip("link", "add", "name", "eth1", "type", "veth", "peer", "name", "other")
    await tables.until(lambda now: now.named("eth1"))
    ip("link", "set", "peer", "down")
    await tables.until(lambda now: not eth0(now).carrier)
    assert tables.shown[-1].default_links  # as last known
    refused.clear()
    await tables.until(lambda now: not now.default_links)
    follower.close()


@pytest.mark.namespace
async def test_links_are_shown_from_the_start_though_no_dump_of_routes_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer")
    ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    request = rtnetlink.dump_request

    def nonsense(kind: int, sequence: int) -> bytes:
        return request(1000 if kind == rtnetlink.RTM_GETROUTE else kind, sequence)

    monkeypatch.setattr(rtnetlink, "dump_request", nonsense)
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    await tables.until(lambda now: now.announcing(INSIDE, ()))
    follower.close()


@pytest.mark.parametrize(
    ("kind", "interrupted", "number", "fault"),
    [
        (rtnetlink.NLMSG_DONE, False, 0, None),
        (rtnetlink.NLMSG_DONE, True, 0, "it changed meanwhile"),
        (rtnetlink.NLMSG_DONE, False, errno.ENOMEM, os.strerror(errno.ENOMEM)),  # half way
        (rtnetlink.NLMSG_ERROR, False, errno.EBUSY, os.strerror(errno.EBUSY)),
    ],
)
def test_a_dump_is_whole_when_its_end_says_so(
    kind: int, number: int, fault: str | None, *, interrupted: bool
) -> None:
    end = rtnetlink.Message(kind, 0x2, 1, 1, struct.pack("=i", -number))
    assert rtnetlink.fault(end, interrupted=interrupted) == fault


class Meddled:
    """A netlink socket beside which something happens once, at a message of the kernel's."""

    def __init__(self, at: int, happens: Callable[[rtnetlink.Message], None]) -> None:
        self._socket = watch._subscribed()
        self._at = at
        self._happens: Callable[[rtnetlink.Message], None] | None = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        got = self._socket.recv(size)
        for message in rtnetlink.messages(got):
            if message.type == self._at and message.sequence and self._happens is not None:
                happens, self._happens = self._happens, None
                happens(message)
        return got


@pytest.mark.namespace
async def test_a_dump_that_was_interrupted_in_its_midst_is_not_taken_for_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The kernel says so in the part that it was at, and counts places: one address is passed over.
    ip("link", "add", "name", "eth0", "type", "veth", "peer", "name", "peer")
    networks = [f"10.{n >> 8}.{n & 255}." for n in range(900)]
    batch(*(f"addr add {network}1/24 dev eth0" for network in networks))
    made = Meddled(
        rtnetlink.RTM_NEWADDR, lambda _: ip("addr", "del", f"{networks[0]}1/24", "dev", "eth0")
    )
    sockets = iter([made])
    subscribed = watch._subscribed
    monkeypatch.setattr(watch, "_subscribed", lambda: next(sockets, None) or subscribed())
    monkeypatch.setattr(watch, "REPEAT_AFTER_S", 0.0)
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    await tables.until(lambda now: now.named("eth0"))
    subnets = tables.shown[-1].subnets[eth0(tables.shown[-1]).index]
    assert {str(subnet) for subnet in subnets} == {f"{network}0/24" for network in networks[1:]}
    follower.close()


@pytest.mark.namespace
async def test_what_another_program_does_under_our_number_is_no_part_of_our_dump(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number, name in enumerate(("eth0", "eth1"), 1):
        ip("link", "add", "name", name, "type", "bridge")
        ip("addr", "add", f"10.0.{number}.1/24", "dev", name)
        ip("link", "set", name, "up")
        ip("route", "add", "default", "via", f"10.0.{number}.9", "metric", f"{number}")
    batch(*(f"route add 10.1.{n >> 8}.{n & 255}/32 via 10.0.2.9" for n in range(3000)))

    def removed(message: rtnetlink.Message) -> None:
        """Delete the better default route, by a request of the same number as the dump's."""
        head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 0, 0, 1, 0)
        metric = struct.pack("=HHI", 8, 6, 1)
        request = struct.pack("=IHHII", 36, rtnetlink.RTM_DELROUTE, 0x5, message.sequence, 0)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as other:
            other.send(request + head + metric)
            (answer,) = rtnetlink.messages(other.recv(4096))
            assert rtnetlink.fault(answer, interrupted=False) == os.strerror(0)

    made = Meddled(rtnetlink.RTM_NEWROUTE, removed)
    monkeypatch.setattr(watch, "_subscribed", lambda: made)
    tables = Tables()
    follower = watch.LinkWatch(tables, tables.failed)
    second = socket.if_nametoindex("eth1")
    await tables.until(lambda now: now.default_links == {pool.IPV4: (second,)})
    follower.close()
