# SPDX-License-Identifier: MIT
import asyncio
import errno
import socket
from typing import Any

import pytest

from app import listening


class IPv4Kernel(socket.socket):
    """A socket of a kernel that knows no IPv6."""

    def __init__(self, family, kind, protocol):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, kind, protocol)


class Remembering(socket.socket):
    """A socket that takes every address as if it were there."""

    said: tuple[Any, ...] = ()

    def setsockopt(self, *option):
        self.said = (*self.said, option)

    def bind(self, address):
        self.said = (*self.said, address)

    def listen(self, backlog=0):
        self.said = (*self.said, "listens")


def answers(listened: socket.socket, host: str) -> bool:
    with socket.create_connection((host, listened.getsockname()[1]), timeout=5):
        return True


@pytest.mark.parametrize("make", [socket.socket, IPv4Kernel])
def test_everywhere_is_ipv4_too_whatever_the_kernel_has(make):
    with listening.listen(listening.EVERYWHERE, 0, make=make) as listened:
        assert answers(listened, "127.0.0.1")


def test_everywhere_is_both_families_on_one_socket():
    made = listening.listen(listening.EVERYWHERE, 8443, make=Remembering)

    assert isinstance(made, Remembering)
    assert made.family == socket.AF_INET6
    assert (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0) in made.said
    assert made.said[-2:] == (("::", 8443, 0, 0), "listens")
    made.close()


def test_an_address_that_is_given_is_the_only_one():
    with listening.listen("127.0.0.1", 0) as listened:
        assert listened.getsockname()[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_no_reason_to_do_without_ipv6():
    class Taken(socket.socket):
        def bind(self, address):
            raise OSError(errno.EADDRINUSE, f"taken: {address[0]}")

    with pytest.raises(OSError, match="taken: ::"):
        listening.listen(listening.EVERYWHERE, 0, make=Taken)


def test_asyncio_takes_the_socket_for_tcp_and_sends_without_delay():
    async def option():
        connected = asyncio.get_running_loop().create_future()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport):
                connected.set_result(transport.get_extra_info("socket"))

        with listening.listen("127.0.0.1", 0) as listened:
            server = await asyncio.get_running_loop().create_server(Accepted, sock=listened)
            async with server:
                with socket.create_connection(listened.getsockname()):
                    accepted = await connected
                    return accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    assert asyncio.run(option()) != 0
