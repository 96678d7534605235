# SPDX-License-Identifier: MIT
"""The speaker put together: what is known goes into the core, and what it does comes out.

Each background task that fails ends the process with a sentence, after everything was handed
over; each fault of the API server is waited out. Nothing slow runs in the event loop, because
heartbeats share it.
"""

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from speaker import (
    background,
    driver,
    errors,
    http,
    knowledge,
    log,
    metrics,
    observed,
    settings,
    status,
)
from speaker.cluster import api, cache, lists, notices, view, watch
from speaker.links import table
from speaker.links import watch as links_watch
from speaker.protocol import events

COALESCE_S: Final = 0.002  # changes within this are told to the core together
REFRESH_SHARE: Final = 20.0  # so many times the processor time of a refresh lie between two
LIVE_WITHIN_S: Final = 2.0  # how long the API server is waited for before the cache counts
ACCEPT_TOLD_EVERY_S: Final = 60.0
LEAVE_WITHIN_S: Final = 12.0  # a little more than the core gives itself


class Daemon:
    """One speaker. `run` returns when everything is handed over after `leave`.

    Raises SpeakerError when the heartbeat keys are missing.
    """

    def __init__(self, chosen: settings.Settings, cluster: api.Api, logger: log.Logger) -> None:
        self._keys = settings.read_keys(chosen.keys)
        self._settings = chosen
        self._api = cluster
        self._log = logger
        self._loop = asyncio.get_running_loop()
        self._left = asyncio.Event()
        self._refreshing: asyncio.TimerHandle | None = None
        self._refresh_after = 0.0
        self._failure: BaseException | None = None
        self._accept_told_at = -math.inf
        self._told: lists.Lists | None = None
        self._told_complete = False
        self._complaints: frozenset[str] = frozenset()
        self._fit: events.FitnessChanged | None = None
        self.metrics = metrics.Metrics()
        self.known = knowledge.Knowledge(chosen.node)
        self.heard_at: dict[str, float] = {}
        self.notices = notices.Notices(cluster, chosen.node, self.known.children.by_key.values)
        self.observed = observed.Observed(
            chosen.node,
            logger,
            self.metrics,
            peers=lambda: self.driver.core.peers(time.monotonic()),
            addresses=lambda: self.driver.core.view(time.monotonic()).addresses,
            mac_of=lambda name: self.driver.segments[name].mac,
            defend=lambda name, address: self.driver.segments[name].defend(address),
            reassert=lambda name, address, now: self.driver.segments[name].reassert(address, now),
            changed=self._acted,
            notify=self.notices.add,
        )
        self.driver = driver.Driver(
            events.Config(
                group=chosen.group, node=chosen.node, epoch=os.urandom(8), keys=self._keys
            ),
            self.observed,
            pace=chosen.probe,
            announce_rate=chosen.announce_rate,
            announce_burst=chosen.announce_burst,
        )
        self._cache = background.CacheWriter(cache.Cache(chosen.cache), self.known, logger)
        self._reports = background.ReportWriter(
            cluster, self.known, self.observed, self.metrics, logger
        )

    async def run(self) -> None:
        """Work until everything is handed over.

        What makes it impossible to go on is raised, after a hand-over too: half a speaker would
        keep addresses that it can not look after.
        """
        self._loop.set_exception_handler(self._on_callback_failure)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.leave)
        followed = links_watch.LinkWatch(self._on_links, self._on_links_unknown)
        server = await self._serve()
        self._log.info("started", node=self._settings.node, group=self._settings.group)
        tasks = [asyncio.create_task(work) for work in self._background()]
        leaving = asyncio.create_task(self._left.wait())
        try:
            waiting = {leaving, *tasks}
            while not leaving.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {leaving}:
                    self._failed(task.exception() or errors.SpeakerError(f"{task} has ended"))
            await self._reports.last_words()
            if self._failure is not None:
                raise self._failure
        finally:
            for task in (leaving, *tasks):
                task.cancel()
            await asyncio.gather(leaving, *tasks, return_exceptions=True)
            if server is not None:
                server.close()
            followed.close()
            self.driver.close()
            await self._api.close()

    def leave(self) -> None:
        """Hand everything over, then stop; at the latest after `LEAVE_WITHIN_S`."""
        self._log.info("leaving", held=len(self.observed.held))
        self._loop.call_later(LEAVE_WITHIN_S, self._left.set)
        self.driver.tell(events.Leave())

    @property
    def ready(self) -> bool:
        """Whether the lists are known and every interface needed is listened to."""
        return (
            self.known.complete
            and self._told is not None
            and self._told.interfaces <= self.driver.segments.keys()
        )

    def _background(self) -> Iterator[Coroutine[Any, Any, None]]:
        chosen = self._settings
        yield self._follow(view.CHILDREN, self._on_children)
        yield self._follow(view.BALANCERS, self._on_balancers)
        yield self._follow(view.own_node(chosen.node), self._on_node)
        yield self._use_cache()
        yield self._cache.run()
        yield self._reports.run()
        yield self.notices.run()
        yield background.follow_keys(chosen.keys, self._keys, self.driver.tell, self._log)
        yield background.poll_proxy(
            chosen, self.known, lambda: self.driver.core.hears_proxy, self._judged
        )
        yield background.poll_locals(chosen, self.known, self._judged)

    async def _serve(self) -> asyncio.Server | None:
        if self._settings.listen is None:
            return None
        host, port = self._settings.listen
        try:
            return await http.Server(
                status.pages(self), self._on_page_failure, self.driver.catch_up
            ).start(host, port)
        except OSError as error:
            raise errors.SpeakerError(
                f"--listen {host}:{port}: {error}; give an address of this node and a free port, "
                "or an empty text"
            ) from error

    def _on_page_failure(self, error: Exception) -> None:
        self._log.error("page failed", error=str(error), exc_info=error)

    def _on_callback_failure(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failure = context.get("exception") or errors.SpeakerError(str(context.get("message")))
        if isinstance(failure, asyncio.CancelledError):
            return  # a connection to the status page that ends with us: Python 3.11 tells it here
        if isinstance(failure, OSError) and "socket" in context:
            self._on_accept_failure(failure)
            return
        if self._failure is not None:
            self._left.set()  # the driver itself fails, and can hand nothing over
        self._failed(failure)

    def _on_accept_failure(self, error: OSError) -> None:
        """Say, once a minute, that the status page took no connection: the loop tries again."""
        if self._loop.time() >= self._accept_told_at + ACCEPT_TOLD_EVERY_S:
            self._accept_told_at = self._loop.time()
            self._log.warning(
                "no connection taken",
                error=str(error),
                then="tries again; addresses are not touched",
                remedy="see who has so many files open, of the node or of this process, or sockets",
            )

    def _failed(self, failure: BaseException) -> None:
        """Hand everything over before this failure ends the process."""
        if self._failure is not None:
            return
        self._failure = failure
        self._log.error("failed", error=f"{type(failure).__name__}: {failure}", then="leaves")
        try:
            self.leave()
        except Exception as error:  # noqa: BLE001 - a broken driver must not keep the process
            self._log.error("nothing handed over", error=str(error))
            self._left.set()

    def _acted(self) -> None:
        self._reports.wake()
        if self.observed.left:
            self._left.set()

    async def _follow(self, resource: api.Resource, take: Callable[[watch.Event], None]) -> None:
        async for event in watch.follow(self._api, resource, self._on_life):
            take(event)
            # A burst of events is one long turn of the loop, and heartbeats may be due within it.
            self.driver.catch_up()

    def _on_life(self, resource: api.Resource, error: api.ApiError | None) -> None:
        if error is None:
            self.heard_at[resource.name] = time.monotonic()
            return
        self.metrics.watch_faults.add(resource.name)
        self._log.warning("API server", error=str(error), then="goes on with what it knows")

    def _on_children(self, event: watch.Event) -> None:
        self._reports.seen(None if isinstance(event, watch.Snapshot) else event.key)
        if self.known.children.apply(event):
            self._cluster_changed()

    def _on_balancers(self, event: watch.Event) -> None:
        if self.known.balancers.apply(event):
            self._cluster_changed()

    def _on_node(self, event: watch.Event) -> None:
        if self.known.take_node(event):
            if self.known.complete:
                self._cache.wake()
            self._judged()

    def _on_links(self, links: table.Table) -> None:
        self.known.links = links
        self._refresh()

    def _on_links_unknown(self, why: str) -> None:
        self._log.warning(
            "links", error=f"the kernel told not all of them: {why}", then="asks again"
        )

    async def _use_cache(self) -> None:
        """Go on with what the cache holds if the API server gives no lists soon."""
        await asyncio.sleep(LIVE_WITHIN_S)
        if not self.known.complete:
            try:
                cached = self._cache.read()
            except errors.SpeakerError as error:
                self._log.warning("cache", error=str(error))
                cached = None
            if cached is not None:
                if not self.known.children.complete:
                    self.known.children.apply(cached.children)
                if not self.known.balancers.complete:
                    self.known.balancers.apply(cached.balancers)
                if self.known.node is None and cached.node is not None:
                    self.known.take_node(cached.node)
                children = len(cached.children.objects)
                self._log.info("goes on with the cached lists", children=children)
                self._judged()
        await asyncio.Event().wait()

    def _cluster_changed(self) -> None:
        if self.known.complete:
            self._cache.wake()
        if self._refreshing is None:
            when = max(self._loop.time() + COALESCE_S, self._refresh_after)
            self._refreshing = self._loop.call_at(when, self._refresh)

    def _judged(self) -> None:
        """Tell the core how fit this node is, and what it declines."""
        fit = self.known.fitness()
        if fit != self._fit:
            was = events.Rank.WELL if self._fit is None else self._fit.rank
            if fit.rank is not was or (self._fit is not None and fit.why != self._fit.why):
                self._log.info("fitness", rank=fit.rank.name.lower(), why=fit.why)
            self._fit = fit
            self.driver.tell(fit)
        self._refresh()

    def _refresh(self) -> None:
        """Tell the core what has changed of links and lists."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            self._refreshing = None
        began_s = time.thread_time()
        now_listed = self.known.lists()
        ethernet = {link.name: link for link in self.known.links.links.values() if link.ethernet}
        self.driver.use_links(ethernet.values(), now_listed.interfaces)
        for name, opened in self.driver.segments.items():
            # Groups that the kernel forgot with IPv6 are left, to be joined when it is there again.
            has_ipv6 = ethernet[name].has_ipv6
            opened.listen_for(now_listed.addresses.get(name, ()) if has_ipv6 else ())
        if (now_listed, self.known.complete) != (self._told, self._told_complete):
            self._told, self._told_complete = now_listed, self.known.complete
            self.driver.tell(
                events.ChildrenChanged(children=now_listed.listed, complete=self.known.complete)
            )
        # Before the first dump of the links nothing can be said of them.
        known = self.known.links is not table.EMPTY
        self.observed.nowhere = now_listed.nowhere if known else frozenset()
        complaints = frozenset(self.known.complaints())
        for complaint in sorted(complaints - self._complaints):
            self._log.warning("complaint", about=complaint)
        self._complaints = complaints
        self._reports.wake()
        took_s = time.thread_time() - began_s
        self._refresh_after = self._loop.time() + REFRESH_SHARE * took_s
