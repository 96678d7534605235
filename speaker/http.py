# SPDX-License-Identifier: MIT
"""A few read-only pages over HTTP/1.1, and asking a health endpoint for its status code."""

import asyncio
import contextlib
import dataclasses
import http
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

_HEADER_B: Final = 8192
_PATIENCE_S: Final = 5.0
_CONNECTIONS: Final = 32
_RENDERING_SHARE: Final = 20.0  # so many times what a page's rendering took lie before its next,
_RENDERING_REST_S: Final = 1.0  # but no more than this


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What is answered: the body, then the `rest` in pieces of a few milliseconds' work each."""

    body: str
    content_type: str = "text/plain; charset=utf-8"
    status: http.HTTPStatus = http.HTTPStatus.OK
    rest: Iterable[str] = ()


class Server:
    """Serves pages by path; each connection has one answer and a few seconds.

    `failed` is called with what a page raised, and `catch_up` after each piece of work, for whom
    all share the event loop with. Of too many connections the oldest is closed, so that the newest
    can be a probe of this process's health.
    """

    def __init__(
        self,
        pages: Mapping[str, Callable[[], Page]],
        failed: Callable[[Exception], None],
        catch_up: Callable[[], None],
    ) -> None:
        self._pages = {path: _Shared(page, failed, catch_up) for path, page in pages.items()}
        self._catch_up = catch_up
        self._open: dict[asyncio.StreamWriter, None] = {}  # the oldest first

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen; raises OSError when the address is taken."""
        return await asyncio.start_server(self._serve, host, port, limit=_HEADER_B)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            # An impatient, broken or absent client is its own loss.
            with contextlib.suppress(OSError, TimeoutError, ValueError, EOFError):
                async with asyncio.timeout(_PATIENCE_S):
                    writer.write(await self._answer(reader))
                    self._catch_up()
                    await writer.drain()
        finally:
            self._open.pop(writer, None)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _encode(Page("header too long\n", status=http.HTTPStatus.BAD_REQUEST))
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3:  # noqa: PLR2004 - method, target, version: RFC 9112 §3
            return _encode(Page("not HTTP/1.1\n", status=http.HTTPStatus.BAD_REQUEST))
        if words[0] not in {b"GET", b"HEAD"}:
            return _encode(Page("only GET\n", status=http.HTTPStatus.METHOD_NOT_ALLOWED))
        path = words[1].decode("ascii", "replace").partition("?")[0]
        page = self._pages.get(path)
        if page is None:
            known = " ".join(self._pages)
            return _encode(Page(f"there are {known}\n", status=http.HTTPStatus.NOT_FOUND))
        return await page.answer()


class _Shared:
    """A page rendered once for all who ask for it before that begins.

    So nobody reads what was true before he asked, and any number of clients cost no more than a
    share of the processor.
    """

    def __init__(
        self,
        page: Callable[[], Page],
        failed: Callable[[Exception], None],
        catch_up: Callable[[], None],
    ) -> None:
        self._page = page
        self._failed = failed
        self._catch_up = catch_up
        self._turn = asyncio.Lock()
        self._rests_until = 0.0
        self._next: asyncio.Task[bytes] | None = None  # has not begun

    async def answer(self) -> bytes:
        """Return the page as of now or later."""
        if self._next is None:
            self._next = asyncio.create_task(self._rendered())
        return await asyncio.shield(self._next)  # a client that gives up is not the only one

    async def _rendered(self) -> bytes:
        async with self._turn:
            await asyncio.sleep(max(0.0, self._rests_until - time.monotonic()))
            self._next = None
            work_s = 0.0
            try:
                began_s = time.thread_time()
                page = self._page()
                pieces = iter(page.rest)
                body = [page.body]
                while True:
                    piece = next(pieces, None)
                    work_s += time.thread_time() - began_s
                    if piece is None:
                        break
                    body.append(piece)
                    self._catch_up()
                    await asyncio.sleep(0)
                    began_s = time.thread_time()
                page = dataclasses.replace(page, body="".join(body))
            except Exception as error:  # noqa: BLE001 - a page must not end the announcing
                self._failed(error)
                page = Page("internal error\n", status=http.HTTPStatus.INTERNAL_SERVER_ERROR)
            rest_s = min(_RENDERING_SHARE * work_s, _RENDERING_REST_S)
            self._rests_until = time.monotonic() + rest_s
            return _encode(page)


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
