# SPDX-License-Identifier: MIT
"""Reading rtnetlink messages: links, addresses and default routes. Pure.

Source: rtnetlink(7), Linux include/uapi/linux/rtnetlink.h and if_link.h. A small reader of the
six messages that matter here costs a hundredth of the memory of a whole netlink library.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final, NamedTuple

from contract import pool
from speaker.links import table

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_DELROUTE: Final = 25
RTM_GETROUTE: Final = 26

# What to be told of: RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR, _IPV4_ROUTE, _IPV6_ROUTE.
GROUPS: Final = 0x1 | 0x10 | 0x100 | 0x40 | 0x400

_REQUEST_DUMP: Final = 0x1 | 0x300  # NLM_F_REQUEST | NLM_F_DUMP
_NLM_F_DUMP_INTR: Final = 0x10
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_LINK: Final = struct.Struct("=BxHiII")
_ADDRESS: Final = struct.Struct("=BBBBI")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_TYPE_MASK: Final = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER

_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_RUNNING: Final = 0x40
_IFF_NOARP: Final = 0x80
_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4
_IFLA_MASTER: Final = 10
_IFLA_WIRELESS: Final = 11
_IFLA_LINKINFO: Final = 18
_IFLA_INFO_SLAVE_KIND: Final = 4
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_RTA_OIF: Final = 4
_RTA_PRIORITY: Final = 6
_RTA_MULTIPATH: Final = 9
_RTN_UNICAST: Final = 1
_RT_TABLE_MAIN: Final = 254
_NEXTHOP: Final = struct.Struct("=HBBi")
_VERSIONS: Final = {socket.AF_INET: pool.IPV4, socket.AF_INET6: pool.IPV6}


class Message(NamedTuple):
    """One netlink message; `body` follows its header.

    `sequence` and `port` are of the request that it answers, or that has changed what it tells of:
    together they tell one program's requests from another's.
    """

    type: int
    flags: int
    sequence: int
    port: int
    body: bytes

    @property
    def interrupted(self) -> bool:
        """Whether the kernel says that what it dumps has changed since it began."""
        return bool(self.flags & _NLM_F_DUMP_INTR)


class Address(NamedTuple):
    """An address of an interface."""

    link: int
    prefix_length: int
    packed: bytes


class DefaultRoute(NamedTuple):
    """A default route of the main table; a lower metric is preferred."""

    version: int
    metric: int
    links: tuple[int, ...]


def dump_request(kind: int, sequence: int) -> bytes:
    """Return the request for all links, addresses or routes."""
    body = struct.pack("=B", socket.AF_UNSPEC) + bytes(_ROUTE.size - 1)
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, sequence, 0) + body


def messages(datagram: bytes) -> Iterator[Message]:
    """Yield the messages of a datagram; a truncated one ends it."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, port = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size or offset + length > len(datagram):
            return
        body = datagram[offset + _HEADER.size : offset + length]
        yield Message(kind, flags, sequence, port, body)
        offset += (length + 3) & ~3


def fault(end: Message, *, interrupted: bool) -> str | None:
    """Return why a dump is not whole, by the message that ends it; None when all was told.

    NLMSG_DONE begins with an errno as NLMSG_ERROR does: 0, or negative (netlink(7)). Where any
    message of it was `interrupted`, entries may have been passed over.
    """
    number = -int.from_bytes(end.body[:4], sys.byteorder, signed=True)
    if number or end.type != NLMSG_DONE:
        return os.strerror(number)
    return "it changed meanwhile" if interrupted else None


def parse_link(body: bytes) -> table.Link | None:
    """Read the body of RTM_NEWLINK or RTM_DELLINK.

    None when it tells of something else: a bridge's port table, or a wireless link's scan, which
    comes without the link's address.
    """
    family, hardware, index, flags, _ = _LINK.unpack_from(body)
    if family != socket.AF_UNSPEC:
        return None
    attributes = _attributes(body[_LINK.size :])
    if _IFLA_WIRELESS in attributes:
        return None
    mac = attributes.get(_IFLA_ADDRESS, b"")
    master, mtu = attributes.get(_IFLA_MASTER), attributes.get(_IFLA_MTU)
    info = _attributes(attributes.get(_IFLA_LINKINFO, b""))
    silent = flags & (_IFF_LOOPBACK | _IFF_NOARP)
    return table.Link(
        index=index,
        name=_text(attributes.get(_IFLA_IFNAME, b"")),
        mac=mac,
        ethernet=hardware == _ARPHRD_ETHER and len(mac) == 6 and not silent,  # noqa: PLR2004
        carrier=bool(flags & _IFF_UP and flags & _IFF_RUNNING),
        master=struct.unpack("=I", master)[0] if master else None,
        port_of=_text(info.get(_IFLA_INFO_SLAVE_KIND, b"")),
        mtu=struct.unpack("=I", mtu)[0] if mtu else table.ETHERNET_MTU,
    )


def parse_address(body: bytes) -> Address | None:
    """Read the body of RTM_NEWADDR or RTM_DELADDR; None when it is of another family."""
    family, prefix_length, _, _, index = _ADDRESS.unpack_from(body)
    if family not in _VERSIONS:
        return None
    attributes = _attributes(body[_ADDRESS.size :])
    # On a point-to-point link IFA_ADDRESS is the other end, and the prefix is that one's.
    packed = attributes.get(_IFA_ADDRESS) or attributes.get(_IFA_LOCAL)
    return Address(index, prefix_length, packed) if packed else None


def parse_default_route(body: bytes) -> DefaultRoute | None:
    """Read the body of RTM_NEWROUTE or RTM_DELROUTE; None when it is no default route."""
    family, to_length, _, _, in_table, _, _, kind, _ = _ROUTE.unpack_from(body)
    if family not in _VERSIONS or to_length or in_table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
        return None
    attributes = _attributes(body[_ROUTE.size :])
    metric = attributes.get(_RTA_PRIORITY, bytes(4))
    out = attributes.get(_RTA_OIF)
    links = struct.unpack("=i", out) if out else _next_hops(attributes.get(_RTA_MULTIPATH, b""))
    return DefaultRoute(_VERSIONS[family], struct.unpack("=I", metric)[0], tuple(links))


def _next_hops(data: bytes) -> tuple[int, ...]:
    links: list[int] = []
    offset = 0
    while offset + _NEXTHOP.size <= len(data):
        length, _, _, index = _NEXTHOP.unpack_from(data, offset)
        if length < _NEXTHOP.size:
            break
        links.append(index)
        offset += (length + 3) & ~3
    return tuple(links)


def _attributes(data: bytes) -> dict[int, bytes]:
    attributes: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        attributes[kind & _TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return attributes


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")
