# SPDX-License-Identifier: MIT
"""A process for large requests, so that the event loop stays free for the small ones.

Parsing ten megabytes is one step of C code that holds the interpreter for a tenth of a second; in
a thread it would keep every other hook waiting as long.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import threading
from concurrent.futures import process

import structlog

from app import collector, errors
from app.hooks import call, table
from app.models import hooks

log = structlog.get_logger()

_BY_NAME = {hook.name: hook for hook in table.HOOKS}

Result = tuple[bytes, call.Answer]


class WorkerDiedError(errors.HookError):
    """The worker ended in the middle of a call, most likely for want of memory."""


class Worker:
    """Answers in a process that is started at first use, and anew when it has died."""

    def __init__(self) -> None:
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None

    def start(self) -> None:
        """Start the process ahead of its first call, without waiting for it."""
        self._running().submit(os.getpid)

    async def respond(self, hook: str, body: bytes, context: call.Call) -> Result:
        """Answer one call; raises what the hook raises, and WorkerDiedError."""
        pool = self._running()
        try:
            return await asyncio.wrap_future(pool.submit(answer, hook, body, context))
        except process.BrokenProcessPool:
            log.exception("worker died", hook=hook, request_bytes=len(body))
            if self._pool is pool:
                self.close()
            raise WorkerDiedError(
                f"the process that answered this request of {len(body)} bytes has died, most "
                "likely for want of memory: raise the webhook's memory limit if that happens again"
            ) from None

    def close(self) -> None:
        """End the process, once it has answered what it is at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _running(self) -> concurrent.futures.ProcessPoolExecutor:
        if self._pool is None:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                max_workers=1,  # more would only share the same core
                mp_context=multiprocessing.get_context("spawn"),
                initializer=prepare,
            )
        return self._pool


def answer(hook: str, body: bytes, context: call.Call) -> Result:
    """Answer one call of the hook of that name."""
    given = _BY_NAME[hook].respond(body, context)
    # Only the encoded body crosses back.
    return hooks.encode(given.body), call.Answer({}, given.told, dict(given.left_alone))


def prepare() -> None:
    """Make a process that was just started end with its parent, however that ends."""
    collector.relax()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(0)
