# SPDX-License-Identifier: MIT
"""The process in which pages are made, so that no hook ever waits for one.

Lists of a thousand Services are parsed in steps of C code that hold the interpreter; in a thread
of the webhook they would keep its hooks waiting. The process is started when somebody looks, and
ended when nobody has for a while. It has one thread that asks, so all who look at a time share
one reading.
"""

import asyncio
import concurrent.futures
import dataclasses
import datetime as dt
import multiprocessing
from collections.abc import Callable
from concurrent.futures import process
from http import HTTPStatus
from typing import Final

import structlog

from app import annotations, events, worker
from app.explain import model, view
from app.explain import reading as explained
from app.page import pages, reading

MAX_WAITING: Final = 16
PATIENCE_S: Final = 30.0
IDLE_S: Final = 600.0

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What pages are made from: a cluster, if there is one, and the annotation keys in force."""

    cluster: events.Cluster | None
    keys: annotations.Keys


class Maker:
    """Has pages made in a process of its own; `make` never raises."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None

    async def make(self, wanted: pages.Wanted) -> pages.Answer:
        """Return the page, or one that says why there is none."""
        if self._waiting >= MAX_WAITING:
            return _busy(wanted, f"{self._waiting} requests wait for it already")
        self._waiting += 1
        self._cancel_idle()
        pool = self._running()
        try:
            future = pool.submit(_make, wanted)
            return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_S)
        except TimeoutError:
            return _busy(wanted, f"it was not ready within {PATIENCE_S:.0f} s")
        except process.BrokenProcessPool:
            log.exception("the page's process died", page=wanted.page)
            if self._pool is pool:
                self.close()
            return _busy(
                wanted, "the process that makes it has died, most likely for want of memory"
            )
        except Exception as error:  # whatever it is, somebody waits for a sentence
            log.exception("page not made", page=wanted.page)
            return pages.message(
                "This page failed",
                f"It failed with {type(error).__name__}; the webhook's log has the details.",
                status=HTTPStatus.INTERNAL_SERVER_ERROR,
                depth=wanted.depth,
            )
        finally:
            self._waiting -= 1
            self._cancel_idle()
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self.close)

    def close(self) -> None:
        """End the process, once it has made what it is at."""
        self._cancel_idle()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _cancel_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _running(self) -> concurrent.futures.ProcessPoolExecutor:
        if self._pool is None:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare,
                initargs=(self._source,),
            )
        return self._pool


def _busy(wanted: pages.Wanted, why: str) -> pages.Answer:
    return pages.message(
        "Not now",
        f"There is no page yet: {why}. Try again in a moment.",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        depth=wanted.depth,
    )


class _NoCluster:
    """What is read where there is no API server to ask."""

    def state(self) -> reading.State:
        return reading.State(
            None,
            "This webhook runs outside of a cluster and knows no API server: start it with "
            "--kube-api and --kube-token-file",
        )


def made_from(
    reader: pages.Reader, keys: annotations.Keys, clock: Callable[[], dt.datetime]
) -> pages.Pages:
    """Return what makes pages of what a reader reads."""

    def look(objects: explained.Objects) -> model.ClusterView:
        return view.view(objects, keys=keys)

    return pages.Pages(reader, look, clock=clock)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


_PAGES: list[pages.Pages] = []  # of this process, once it is prepared


def _prepare(source: Source) -> None:
    worker.prepare()
    reader: pages.Reader = (
        reading.Reader(source.cluster, clock=_utc_now) if source.cluster else _NoCluster()
    )
    _PAGES[:] = [made_from(reader, source.keys, _utc_now)]


def _make(wanted: pages.Wanted) -> pages.Answer:
    return _PAGES[0].answer(wanted)
