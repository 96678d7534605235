# SPDX-License-Identifier: MIT
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.agent import echo


class Server:
    def __init__(self, port: int) -> None:
        self.port = port
        readable, writable = os.pipe()
        argv = [sys.executable, "-I", "-S", echo.__file__, str(writable), "shop", "web-1", "n1"]
        ports = [f"{port}/TCP", f"{port}/UDP"]
        self.process = subprocess.Popen([*argv, *ports], pass_fds=[writable])
        os.close(writable)
        self.listening = os.read(readable, 100)
        os.close(readable)


@pytest.fixture
def server() -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = Server(port)
    yield started
    started.process.kill()
    started.process.wait()


def receive_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(4096):
        received += chunk
    return received


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_tells_who_answered_and_who_asked(server: Server, address: str) -> None:
    assert server.listening == b"\n"
    client = http.client.HTTPConnection(address, server.port, timeout=5)
    client.request("GET", "/whatever")
    client_port = client.sock.getsockname()[1]
    body = client.getresponse().read()
    assert body.endswith(b"\n")
    assert json.loads(body) == {
        "namespace": "shop",
        "pod": "web-1",
        "node": "n1",
        "client": address,
        "client_port": client_port,
        "port": server.port,
    }
    client.close()


def test_a_connection_is_kept_for_the_next_request(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    ports = set()
    for _ in range(3):
        client.request("GET", "/")
        ports.add(json.loads(client.getresponse().read())["client_port"])
    client.close()
    assert len(ports) == 1


def test_requests_that_come_together_are_all_answered(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n" * 2 + b"GET / HTTP/1.0\r\n\r\n")
        assert receive_all(client).count(b'"pod": "web-1"') == 3


def test_a_request_with_a_body_is_answered_without_waiting_for_it(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\nstart of it")
        assert receive_all(client).startswith(b"HTTP/1.1 200 OK")


def test_an_endless_head_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(b"x" * (echo.HEAD_LIMIT_BYTES + 1))
        assert receive_all(client).startswith(b"HTTP/1.1 431 ")


def test_a_datagram_is_answered_too(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"?", ("127.0.0.1", server.port))
        assert json.loads(client.recv(4096))["pod"] == "web-1"


def test_sigterm_ends_it_in_good_order(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) == 0
