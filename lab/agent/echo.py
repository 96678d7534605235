# SPDX-License-Identifier: MIT
"""The server that stands for a container whose image is not ours.

``python -I -S echo.py READY_FD NAMESPACE POD NODE [PORT/PROTOCOL ...]`` listens
on every port in both IP families and answers an HTTP request, or a datagram,
with one line of JSON: the Pod, its namespace and node, the client's address
and port, and the port asked. It writes one byte to READY_FD once it listens.

A lab runs dozens of these, so it imports little: that is 25 ms and 10 MB a
process instead of asyncio's 100 ms and 20 MB.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from typing import NoReturn

HEAD_LIMIT_BYTES = 64 * 1024
READ_BYTES = 16 * 1024
MAX_CONNECTIONS = 1000  # below the usual limit of 1024 open files
BACKLOG = 512

END_OF_HEAD = b"\r\n\r\n"


@dataclass(slots=True)
class Connection:
    """One client; ``finished`` when answered and only waited for to close."""

    socket: socket.socket
    received: bytes = b""
    finished: bool = False


class Server:
    """Answers on all its sockets, in one thread, until the process ends."""

    def __init__(self, identity: dict[str, str]) -> None:
        self._identity = identity
        self._selector = selectors.DefaultSelector()
        self._connections: dict[int, Connection] = {}

    def listen(self, port: int, protocol: str) -> None:
        """Listen on one port in both families; a kernel without IPv6 gets IPv4 only."""
        kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
        for family, wildcard in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            try:
                listener = socket.socket(family, kind)
            except OSError:
                if family == socket.AF_INET:
                    raise
                continue
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((wildcard, port))
            listener.setblocking(False)
            if kind == socket.SOCK_STREAM:
                listener.listen(BACKLOG)
            handler = self._accept if kind == socket.SOCK_STREAM else self._datagram
            self._selector.register(listener, selectors.EVENT_READ, (handler, listener))

    def serve(self) -> NoReturn:
        """Answer for ever."""
        while True:
            for key, _ in self._selector.select():
                handler, argument = key.data
                handler(argument)

    def _answer(self, client: str, client_port: int, port: int) -> bytes:
        facts = {**self._identity, "client": client, "client_port": client_port, "port": port}
        return json.dumps(facts).encode() + b"\n"

    def _datagram(self, listener: socket.socket) -> None:
        # A datagram's sender may be gone, or its route; it is not waiting for a traceback.
        with contextlib.suppress(OSError):
            _, sender = listener.recvfrom(READ_BYTES)
            answer = self._answer(sender[0], sender[1], listener.getsockname()[1])
            listener.sendto(answer, sender)

    def _accept(self, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:  # the client left before it was accepted
            return
        accepted.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._close(next(iter(self._connections.values())))
        connection = Connection(accepted)
        self._connections[accepted.fileno()] = connection
        self._selector.register(accepted, selectors.EVENT_READ, (self._read, connection))

    def _read(self, connection: Connection) -> None:
        if connection.socket.fileno() < 0:  # closed earlier in the same batch
            return
        try:
            received = connection.socket.recv(READ_BYTES)
            if not received:
                self._close(connection)
            elif not connection.finished:
                connection.received += received
                self._reply(connection)
        except OSError:
            self._close(connection)

    def _reply(self, connection: Connection) -> None:
        """Answer every complete request that has been received."""
        while END_OF_HEAD in connection.received and not connection.finished:
            head, _, connection.received = connection.received.partition(END_OF_HEAD)
            lowered = head.lower() + b"\r\n"
            # What a body's end is does not matter to an echo: answer, and read no more from it.
            last = (
                b"\r\ncontent-length:" in lowered
                or b"\r\ntransfer-encoding:" in lowered
                or b"\r\nconnection: close\r\n" in lowered
                or b" http/1.0\r\n" in lowered
            )
            self._send(connection, b"200 OK", last=last)
        if len(connection.received) > HEAD_LIMIT_BYTES and not connection.finished:
            self._send(connection, b"431 Request Header Fields Too Large", last=True)

    def _send(self, connection: Connection, status: bytes, *, last: bool) -> None:
        client, client_port = connection.socket.getpeername()[:2]
        port = connection.socket.getsockname()[1]
        body = self._answer(client, client_port, port)
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (
            status,
            len(body),
        )
        if last:
            head += b"Connection: close\r\n"
        connection.socket.sendall(head + b"\r\n" + body)
        if last:
            connection.finished = True
            connection.received = b""
            connection.socket.shutdown(socket.SHUT_WR)

    def _close(self, connection: Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        self._selector.unregister(connection.socket)
        connection.socket.close()


def main(arguments: list[str]) -> NoReturn:
    """Run as the command line says; SIGTERM ends it with status 0."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ready, namespace, pod, node, *ports = arguments
    server = Server({"pod": pod, "namespace": namespace, "node": node})
    for port in ports:
        number, _, protocol = port.partition("/")
        server.listen(int(number), protocol)
    os.write(int(ready), b"\n")
    os.close(int(ready))
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
