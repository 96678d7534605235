# SPDX-License-Identifier: MIT
import asyncio
from collections.abc import Awaitable, Callable

import pytest

from speaker import http

LOCALHOST = "127.0.0.1"


def broken() -> http.Page:
    raise RuntimeError("no such thing")


def served(test: Callable[[int, list[Exception]], Awaitable[None]]) -> None:
    async def scenario() -> None:
        failures: list[Exception] = []
        pages = {"/healthz": lambda: http.Page("ok\n"), "/broken": broken}
        server = await http.Server(pages, failures.append).start(LOCALHOST, 0)
        async with asyncio.timeout(10):
            await test(server.sockets[0].getsockname()[1], failures)
        server.close()
        await served_out()

    asyncio.run(scenario())


async def served_out() -> None:
    """Wait until the server's side has closed every connection."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    await asyncio.sleep(0)


async def exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(LOCALHOST, port)
    writer.write(request)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"200 OK"),
        (b"GET /healthz?verbose HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"hello\r\n\r\n", b"400 Bad Request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", b"400 Bad Request"),
    ],
)
def test_requests_are_answered_with_a_status(request_bytes: bytes, status: bytes) -> None:
    async def test(port: int, _: list[Exception]) -> None:
        answer = await exchange(port, request_bytes)
        assert answer.startswith(b"HTTP/1.1 " + status)

    served(test)


def test_an_unfinished_request_gets_no_answer() -> None:
    async def test(port: int, _: list[Exception]) -> None:
        assert await exchange(port, b"GET /healthz HTT") == b""

    served(test)


def test_a_page_that_fails_is_reported_and_ends_nothing() -> None:
    async def test(port: int, failures: list[Exception]) -> None:
        answer = await exchange(port, b"GET /broken HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"no such thing" not in answer
        assert [str(failure) for failure in failures] == ["no such thing"]

    served(test)


def test_a_health_endpoints_status_is_read() -> None:
    async def test(port: int, _: list[Exception]) -> None:
        assert await http.status_of(LOCALHOST, port, "/healthz", 5.0) == 200
        assert await http.status_of(LOCALHOST, port, "/broken", 5.0) == 500

    served(test)


def test_a_closed_port_has_no_status() -> None:
    async def test(port: int, _: list[Exception]) -> None:
        holder = await asyncio.start_server(lambda *_: None, LOCALHOST, 0)
        closed = holder.sockets[0].getsockname()[1]
        holder.close()
        await holder.wait_closed()
        assert await http.status_of(LOCALHOST, closed, "/", 5.0) is None

    served(test)


def test_an_endpoint_that_says_nothing_is_given_up() -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, LOCALHOST, 0)
        port = server.sockets[0].getsockname()[1]
        assert await http.status_of(LOCALHOST, port, "/", 0.05) is None
        server.close()
        await served_out()

    asyncio.run(scenario())
