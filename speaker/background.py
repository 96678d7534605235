# SPDX-License-Identifier: MIT
"""The speaker's work beside the wire: the cache file, statuses, keys, and health endpoints."""

import asyncio
import contextlib
import datetime as dt
import pathlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from contract import announcement, names
from speaker import errors, fitness, http, knowledge, log, metrics, observed, settings
from speaker.cluster import api, cache, reports, watch
from speaker.protocol import events

CACHE_AFTER_S: Final = 1.0  # changes within this are written together
CACHE_SHARE: Final = 50.0  # so many times what a write took lie between two, but no more than
CACHE_WITHIN_S: Final = 30.0
KEYS_EVERY_S: Final = 5.0
CONSIDER_EVERY_S: Final = 0.2  # what each child should say is looked at no more often
POLL_EVERY_S: Final = 1.0
POLL_TIMEOUT_S: Final = 1.0
POLLS_AT_ONCE: Final = 16
LAST_WORDS_WITHIN_S: Final = 1.0
_CONFLICT: Final = 409
_NOT_FOUND: Final = 404


class CacheWriter:
    """Keeps the cache file in step with what is known of the cluster."""

    def __init__(self, file: cache.Cache, known: knowledge.Knowledge, logger: log.Logger) -> None:
        self._file = file
        self._known = known
        self._log = logger
        self._woken = asyncio.Event()
        self.read = file.read

    def wake(self) -> None:
        """Note that something has changed."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Write what has changed, for ever; a file that can not be written is complained of."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(CACHE_AFTER_S)
            self._woken.clear()
            children = list(self._known.children.by_key.values())
            balancers = list(self._known.balancers.by_name.values())
            node = self._known.node
            began = time.monotonic()
            try:
                await asyncio.to_thread(self._file.write, children, balancers, node)
            except errors.SpeakerError as error:
                self._log.warning("cache", error=str(error))
            # Many children take long, and the thread that speaks on the wire waits for its turns.
            took_s = time.monotonic() - began
            await asyncio.sleep(min(CACHE_SHARE * took_s, CACHE_WITHIN_S))


class ReportWriter:
    """Writes the statuses of the children that this node announces or refuses."""

    def __init__(
        self,
        cluster: api.Api,
        known: knowledge.Knowledge,
        seen: observed.Observed,
        counted: metrics.Metrics,
        logger: log.Logger,
    ) -> None:
        self._api = cluster
        self._known = known
        self._observed = seen
        self._metrics = counted
        self._log = logger
        self._woken = asyncio.Event()
        self._failing = False
        self._reports = reports.Reports(random.SystemRandom().random, time.monotonic())

    def wake(self) -> None:
        """Note that a child may have to say something else."""
        self._woken.set()

    def seen(self, key: watch.Key | None) -> None:
        """Note that the watch spoke of this child, or of all."""
        self._reports.seen(key)

    async def run(self) -> NoReturn:
        """Write what is due, for ever."""
        recheck_at = consider_after = 0.0
        while True:
            now = time.monotonic()
            if self._woken.is_set() and now < consider_after:
                await asyncio.sleep(consider_after - now)
                now = time.monotonic()
            if self._woken.is_set() or now >= recheck_at:
                self._woken.clear()
                recheck_at = now + reports.RECHECK_S
                consider_after = now + CONSIDER_EVERY_S
                self._observed.retain(self._known.children.by_key.values())
                self._reports.consider(self._known.children.by_key, self._observed.wants, now)
            await self._write_due()
            now = time.monotonic()
            wake_at = min(recheck_at, self._reports.next_at(now) or recheck_at)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wake_at - now)):
                    await self._woken.wait()

    async def last_words(self) -> None:
        """Say before the process ends which addresses nobody has taken over."""
        now = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_WITHIN_S):
                for known in list(self._known.children.by_key.values()):
                    want = self._observed.wants(known, now)
                    if want is not None and want.reason is names.AnnouncedReason.NO_CANDIDATE:
                        await self._write(reports.Report(known, want))

    async def _write_due(self) -> None:
        while True:
            now = time.monotonic()
            report = self._reports.due(self._known.children.by_key, self._observed.wants, now)
            if report is None:
                return
            await self._write(report)

    async def _write(self, report: reports.Report) -> None:
        child = report.known.child
        wall_clock = dt.datetime.now(dt.UTC)
        written = announcement.encode_status(
            report.announcement, previous=report.known.status, now=wall_clock
        )
        patch = {"metadata": {"resourceVersion": report.known.version}, "status": written}
        try:
            await self._api.patch_status(
                f"/api/v1/namespaces/{child.namespace}/services/{child.name}", patch
            )
        except api.ApiError as error:
            outcome = {_CONFLICT: "outdated", _NOT_FOUND: "gone"}.get(error.status, "failed")
            if outcome == "failed" and not self._failing:
                self._log.warning("status not written", error=str(error), then="tries on")
            self._failing = outcome == "failed"
            if outcome != "gone":
                self._reports.failed(report.known.key, time.monotonic())
        else:
            outcome = "written"
            self._failing = False
        self._metrics.status_writes.add(outcome)


async def follow_keys(
    directory: pathlib.Path,
    keys: tuple[bytes, ...],
    tell: Callable[[events.KeysChanged], None],
    logger: log.Logger,
) -> NoReturn:
    """Tell of the heartbeat keys whenever the mounted Secret changes."""
    complaint = ""
    while True:
        await asyncio.sleep(KEYS_EVERY_S)
        try:
            found = settings.read_keys(directory)
        except errors.SpeakerError as error:
            if str(error) != complaint:
                logger.warning("keys", error=str(error), then="goes on with the keys it has")
            complaint = str(error)
            continue
        complaint = ""
        if found != keys:
            keys = found
            logger.info("keys", count=len(keys))
            tell(events.KeysChanged(keys))


async def poll_proxy(
    chosen: settings.Settings,
    known: knowledge.Knowledge,
    hears_proxy: Callable[[], bool],
    changed: Callable[[], None],
) -> NoReturn:
    """Ask the service proxy's own endpoint each second; `changed` is called when it matters.

    An answer is expected while `hears_proxy` says that a peer gets one from its own.
    """

    async def ask() -> bool:
        if not chosen.proxy_health_port:
            return False
        host, expected = _host(chosen, known), hears_proxy()
        status = await http.status_of(host, chosen.proxy_health_port, "/healthz", POLL_TIMEOUT_S)
        return known.proxy.observe(status, time.monotonic(), expected=expected)

    await _each_second(ask, changed)


async def poll_locals(
    chosen: settings.Settings, known: knowledge.Knowledge, changed: Callable[[], None]
) -> NoReturn:
    """Ask for each child with policy Local whether an endpoint on this node serves.

    That is its Service's healthCheckNodePort (KEP-1138), asked each second. A proxy that hangs
    makes that take longer, so its own endpoint is asked apart.
    """
    at_once = asyncio.Semaphore(POLLS_AT_ONCE)

    async def ask(endpoint: fitness.Endpoint, port: int) -> bool:
        async with at_once:
            status = await http.status_of(_host(chosen, known), port, "/", POLL_TIMEOUT_S)
        return endpoint.observe(status, time.monotonic())

    async def ask_all() -> bool:
        ports = {
            known_child.key: known_child.child.health_check_port
            for known_child in known.concerning()
        }
        for key in known.locals.keys() - ports.keys():
            del known.locals[key]
        questions = [
            ask(known.locals.setdefault(key, fitness.Endpoint(settle_s=0.0)), port)
            for key, port in ports.items()
            if port is not None
        ]
        return any(await asyncio.gather(*questions))

    await _each_second(ask_all, changed)


async def _each_second(ask: Callable[[], Awaitable[bool]], changed: Callable[[], None]) -> NoReturn:
    while True:
        began = time.monotonic()
        if await ask():
            changed()
        await asyncio.sleep(max(0.0, began + POLL_EVERY_S - time.monotonic()))


def _host(chosen: settings.Settings, known: knowledge.Knowledge) -> str:
    # kube-proxy in nftables mode listens on the node's primary addresses, not on localhost.
    own = known.node.address if known.node is not None else None
    return str(own or chosen.local_address)
