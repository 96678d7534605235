# SPDX-License-Identifier: MIT
"""A TCP proxy that hands what a client says on after a while, and what the server says at once."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK = 64 * 1024


@contextlib.contextmanager
def running(seconds: float, to_port: int) -> Iterator[int]:
    """Run a proxy to a port of this machine, in a thread of its own; yield the proxy's port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = _Proxy(seconds, to_port)
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.start(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Proxy:
    def __init__(self, seconds: float, to_port: int) -> None:
        self._seconds = seconds
        self._to_port = to_port
        self._relays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "0.0.0.0", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.ensure_future(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            answers, asks = await asyncio.open_connection("127.0.0.1", self._to_port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, asks, self._seconds))
                    both.create_task(self._pass(answers, writer, 0.0))
            except* OSError:
                pass
            finally:
                asks.close()
                writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait_s: float
    ) -> None:
        """Hand on what comes until one end closes, each piece after so long."""
        while piece := await reader.read(CHUNK):
            await asyncio.sleep(wait_s)
            writer.write(piece)
            await writer.drain()
        writer.close()
