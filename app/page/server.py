# SPDX-License-Identifier: MIT
"""The page's own port, beside that of the hooks and in nobody's way."""

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator, Iterator

import structlog
import uvicorn

from app import events, listening
from app.page import process, site
from app.settings import Settings

MAX_CONNECTIONS = 64
SHUTDOWN_S = 2

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[None]:
    """Serve the page while this is open, if the settings name a port for it.

    A port that cannot be had is logged, and the hooks are served all the same. Raises
    SettingsError.
    """
    if settings.page_listen is None:
        yield
        return
    cluster = events.find_cluster(
        settings.kube_api, settings.kube_token_file, settings.kube_ca_file, os.environ
    )
    host, port = settings.page_listen
    try:
        listened = listening.listen(host, port)
    except OSError as error:
        log.error("the page is not served", host=host, port=port, error=str(error))  # noqa: TRY400  # the address says it all
        yield
        return
    log.info("the page is served", host=host, port=listened.getsockname()[1])
    maker = process.Maker(process.Source(cluster, settings.keys))
    app = site.create(maker.make, local_only=ipaddress.ip_address(host).is_loopback)
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    running = asyncio.create_task(server.serve([listened]))
    running.add_done_callback(_seen)
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([running])
        maker.close()


class _Server(uvicorn.Server):
    """A server that leaves the signals to the one of the hooks."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the page is no longer served", exc_info=error)
