# SPDX-License-Identifier: MIT
"""The socket on which the hooks are reached, over IPv4 and IPv6 at once where both are there."""

import errno
import socket
from collections.abc import Callable
from typing import Final

EVERYWHERE: Final = "::"
_EVERYWHERE_IN_IPV4: Final = "0.0.0.0"  # noqa: S104  # where there is no IPv6, all there is

Make = Callable[[socket.AddressFamily, socket.SocketKind, int], socket.socket]


def listen(host: str, port: int, *, make: Make = socket.socket) -> socket.socket:
    """Return a socket that listens, and does not block.

    EVERYWHERE is every address of either family. Raises OSError when the address cannot be had.
    """
    if host != EVERYWHERE:
        return _bound(host, port, make)
    try:
        return _bound(EVERYWHERE, port, make)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:  # as a kernel without IPv6 says
            raise
        return _bound(_EVERYWHERE_IN_IPV4, port, make)


def _bound(host: str, port: int, make: Make) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    family, kind, protocol, _, address = found[0]
    # Only where the protocol is named does asyncio set TCP_NODELAY, and without that each answer
    # waits 40 ms for an acknowledgement.
    listening = make(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == EVERYWHERE:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind(address)
        listening.listen(socket.SOMAXCONN)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening
