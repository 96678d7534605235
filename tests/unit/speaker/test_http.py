# SPDX-License-Identifier: MIT
import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterable

import pytest

from speaker import http

LOCALHOST = "127.0.0.1"


def broken() -> http.Page:
    raise RuntimeError("no such thing")


def broken_later() -> http.Page:
    def pieces() -> Iterable[str]:
        yield "all is "
        raise RuntimeError("no such thing")

    return http.Page("", rest=pieces())


class Diary:
    """A page of three pieces that says how often it was rendered, and what happened in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.on_piece: Callable[[], None] = lambda: None
        self._renderings = itertools.count(1)

    def page(self) -> http.Page:
        return http.Page(f"rendering {next(self._renderings)}", rest=self._pieces())

    def _pieces(self) -> Iterable[str]:
        for _ in range(3):
            self.happened.append("piece")
            self.on_piece()
            yield "."

    def catch_up(self) -> None:
        self.happened.append("caught up")


def served(
    test: Callable[[int, list[Exception]], Awaitable[None]], diary: Diary | None = None
) -> None:
    async def scenario() -> None:
        failures: list[Exception] = []
        kept = diary or Diary()
        pages = {
            "/healthz": lambda: http.Page("ok\n"),
            "/broken": broken,
            "/broken-later": broken_later,
            "/diary": kept.page,
        }
        server = await http.Server(pages, failures.append, kept.catch_up).start(LOCALHOST, 0)
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


async def close(writers: Iterable[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()


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


@pytest.mark.parametrize("path", [b"/broken", b"/broken-later"])
def test_a_page_that_fails_is_reported_and_ends_nothing(path: bytes) -> None:
    async def test(port: int, failures: list[Exception]) -> None:
        answer = await exchange(port, b"GET " + path + b" HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"no such thing" not in answer
        assert [str(failure) for failure in failures] == ["no such thing"]

    served(test)


def test_after_each_piece_of_a_page_there_is_time_for_heartbeats() -> None:
    diary = Diary()

    async def test(port: int, _: list[Exception]) -> None:
        answer = await exchange(port, b"GET /diary HTTP/1.1\r\n\r\n")
        assert answer.endswith(b"\r\n\r\nrendering 1...")
        assert diary.happened == ["piece", "caught up"] * 3 + ["caught up"]  # the last: written

    served(test, diary)


def test_who_asks_at_once_shares_one_rendering() -> None:
    async def test(port: int, __: list[Exception]) -> None:
        clients = [await asyncio.open_connection(LOCALHOST, port) for _ in range(30)]
        for _, writer in clients:
            writer.write(b"GET /diary HTTP/1.1\r\n\r\n")
        (answer,) = {await reader.read() for reader, _ in clients}
        await close(writer for _, writer in clients)
        assert answer.endswith(b"rendering 1...")

    served(test)


def test_who_asks_while_a_page_is_rendered_gets_the_next_rendering() -> None:
    diary = Diary()

    async def test(port: int, _: list[Exception]) -> None:
        late_reader, late_writer = await asyncio.open_connection(LOCALHOST, port)

        def ask() -> None:
            diary.on_piece = lambda: None
            late_writer.write(b"GET /diary HTTP/1.1\r\n\r\n")

        diary.on_piece = ask
        first = await exchange(port, b"GET /diary HTTP/1.1\r\n\r\n")
        assert first.endswith(b"rendering 1...")
        assert (await late_reader.read()).endswith(b"rendering 2...")
        await close([late_writer])

    served(test, diary)


def test_of_too_many_connections_the_oldest_is_closed_and_the_newest_answered() -> None:
    async def test(port: int, __: list[Exception]) -> None:
        idle = [await asyncio.open_connection(LOCALHOST, port) for _ in range(32)]
        answer = await exchange(port, b"GET /healthz HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        (oldest, _), *others = idle
        assert await oldest.read() == b""
        for reader, writer in others:
            writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        await close(writer for _, writer in idle)

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
