# SPDX-License-Identifier: MIT
"""Solicited-node groups, joined so that switches with MLD snooping deliver solicitations.

A packet socket's membership only opens the own network card; the MLD report that switches listen
for is sent for IPV6_JOIN_GROUP. Memberships a socket are limited by net.core.optmem_max, so they
are spread over several sockets.
"""

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable
from typing import Final

_A_SOCKET: Final = 64  # memberships; well below what the default optmem_max allows
_NOT_NOW: Final = frozenset({errno.ENODEV, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EINVAL})


class Memberships:
    """The groups joined on one interface."""

    def __init__(self, index: int) -> None:
        """`index` is the interface's."""
        self._index = index
        self._sockets: list[socket.socket] = []
        self._joined: dict[ipaddress.IPv6Address, socket.socket] = {}
        self._count: dict[socket.socket, int] = {}

    def want(self, groups: Iterable[ipaddress.IPv6Address]) -> None:
        """Be a member of exactly these groups.

        A group that the kernel refuses now (interface down, IPv6 off) is tried again next time.
        """
        wanted = set(groups)
        for group in self._joined.keys() - wanted:
            self._leave(group)
        for group in wanted - self._joined.keys():
            self._join(group)

    def close(self) -> None:
        """Leave all groups."""
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        self._joined.clear()
        self._count.clear()

    def _join(self, group: ipaddress.IPv6Address) -> None:
        sock = next((s for s in self._sockets if self._count[s] < _A_SOCKET), None)
        if sock is None:
            try:
                sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    return
                raise
            self._sockets.append(sock)
            self._count[sock] = 0
        try:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, self._request(group))
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise
            return
        self._joined[group] = sock
        self._count[sock] += 1

    def _leave(self, group: ipaddress.IPv6Address) -> None:
        sock = self._joined.pop(group)
        self._count[sock] -= 1
        try:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, self._request(group))
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise

    def _request(self, group: ipaddress.IPv6Address) -> bytes:
        return group.packed + struct.pack("i", self._index)
