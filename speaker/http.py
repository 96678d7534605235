# SPDX-License-Identifier: MIT
"""A few read-only pages over HTTP/1.1, and asking a health endpoint for its status code."""

import asyncio
import contextlib
import dataclasses
import http
from collections.abc import Callable, Mapping
from typing import Final

_HEADER_B: Final = 8192
_PATIENCE_S: Final = 5.0
_CONNECTIONS: Final = 32


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What is answered."""

    body: str
    content_type: str = "text/plain; charset=utf-8"
    status: http.HTTPStatus = http.HTTPStatus.OK


class Server:
    """Serves pages by path; each connection has one answer and a few seconds.

    `failed` is called with what a page raised.
    """

    def __init__(
        self, pages: Mapping[str, Callable[[], Page]], failed: Callable[[Exception], None]
    ) -> None:
        self._pages = pages
        self._failed = failed
        self._open = 0

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen; raises OSError when the address is taken."""
        return await asyncio.start_server(self._serve, host, port, limit=_HEADER_B)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            # An impatient, broken or absent client is its own loss.
            with contextlib.suppress(OSError, TimeoutError, ValueError, EOFError):
                async with asyncio.timeout(_PATIENCE_S):
                    page = await self._answer(reader)
                    writer.write(_encode(page))
                    await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Page:
        if self._open > _CONNECTIONS:
            return Page("too many connections\n", status=http.HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return Page("header too long\n", status=http.HTTPStatus.BAD_REQUEST)
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3:  # noqa: PLR2004 - method, target, version: RFC 9112 §3
            return Page("not HTTP/1.1\n", status=http.HTTPStatus.BAD_REQUEST)
        if words[0] not in {b"GET", b"HEAD"}:
            return Page("only GET\n", status=http.HTTPStatus.METHOD_NOT_ALLOWED)
        path = words[1].decode("ascii", "replace").partition("?")[0]
        page = self._pages.get(path)
        if page is None:
            known = " ".join(self._pages)
            return Page(f"there are {known}\n", status=http.HTTPStatus.NOT_FOUND)
        return self._render(page)

    def _render(self, page: Callable[[], Page]) -> Page:
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - a page must not end the announcing
            self._failed(error)
            return Page("internal error\n", status=http.HTTPStatus.INTERNAL_SERVER_ERROR)


async def status_of(host: str, port: int, path: str, timeout_s: float) -> int | None:
    """Return the status code of a GET; None when nobody answers in time with one."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, limit=_HEADER_B)
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            return int((await reader.readline()).split()[1])
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
    finally:
        if writer is not None:
            writer.close()


def _encode(page: Page) -> bytes:
    body = page.body.encode()
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
