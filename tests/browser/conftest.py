# SPDX-License-Identifier: MIT
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from playwright import sync_api

from app.page import pages, site
from tests.unit.page import cluster
from tools import browser as chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[sync_api.Browser]:
    program = chromium.program()
    if program is None:
        pytest.skip(chromium.MISSING)
    with chromium.opened(program) as opened:
        yield opened


@pytest.fixture
def api() -> cluster.Api:
    return cluster.Api()


@pytest.fixture
def clock() -> cluster.Clock:
    return cluster.Clock()


class Served:
    """The page on a port of its own; `down` makes it answer nobody."""

    def __init__(self, made: pages.Pages) -> None:
        self._made = made
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        app = site.create(self._ask, local_only=True)
        app.mount("/proxy", site.create(self._ask, local_only=True))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    async def _ask(self, wanted: pages.Wanted) -> pages.Answer:
        return self._made.answer(wanted)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()


@pytest.fixture
def served(api: cluster.Api, clock: cluster.Clock, tmp_path: Any) -> Iterator[Served]:
    running = Served(cluster.made(api, clock, tmp_path))
    running.start()
    yield running
    running.stop()


def _is_complaint(said: sync_api.ConsoleMessage) -> bool:
    # The browser's own word for a request that a test let fail, or for a page that is not there.
    return said.type == "error" and not said.text.startswith("Failed to load resource")


@pytest.fixture
def look(browser: sync_api.Browser, served: Served) -> Iterator[Callable[..., sync_api.Page]]:
    """Opens a path of the page in a fresh context; a script's complaint fails the test."""
    complaints: list[str] = []
    with contextlib.ExitStack() as stack:

        def opened(path: str = "", **options: Any) -> sync_api.Page:
            context = stack.enter_context(browser.new_context(base_url=served.url, **options))
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda said: complaints.append(said.text) if _is_complaint(said) else None,
            )
            page.goto(served.url + path)
            return page

        yield opened
    assert complaints == []
