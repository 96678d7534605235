# SPDX-License-Identifier: MIT
"""The page as it runs: in a process of its own, beside hooks that it must not disturb."""

import asyncio
import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
from http import HTTPStatus
from multiprocessing import connection

import httpx
import pytest

from app import annotations, events
from app.models import examples
from app.page import pages, process
from tests.unit.page import cluster

OVERVIEW = pages.Wanted("overview")


class _Handler(http.server.BaseHTTPRequestHandler):
    server: "ApiServer"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        self.server.gate.wait(20)
        body = json.dumps({"items": self.server.lists.get(url.path, [])}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class ApiServer(http.server.ThreadingHTTPServer):
    """Lists over a socket; nothing is answered while the gate is closed."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lists = cluster.recorded()
        self.gate = threading.Event()
        self.gate.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def api_server():
    server = ApiServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("secret")
    return file


@pytest.fixture
def source(api_server, token):
    return process.Source(events.Cluster(api_server.url, token, None), annotations.Keys())


@contextlib.contextmanager
def maker(source):
    made = process.Maker(source)
    try:
        yield made
    finally:
        made.close()


def test_a_page_is_made_in_another_process(source):
    async def asked():
        with maker(source) as made:
            return await made.make(OVERVIEW)

    answer = asyncio.run(asked())

    assert answer.status == HTTPStatus.OK
    assert "10.77.0.203" in answer.body


def test_without_a_cluster_the_page_says_what_is_missing():
    async def asked():
        with maker(process.Source(None, annotations.Keys())) as made:
            return await made.make(OVERVIEW)

    answer = asyncio.run(asked())

    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "start it with --kube-api and --kube-token-file" in answer.body


def test_a_process_that_dies_is_said_and_replaced(source):
    async def asked():
        with maker(source) as made:
            await made.make(OVERVIEW)
            assert made._pool is not None
            [child] = made._pool._processes.values()
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            return [await made.make(OVERVIEW), await made.make(OVERVIEW)]

    died, again = asyncio.run(asked())

    assert died.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "has died" in died.body
    assert again.status == HTTPStatus.OK


def test_only_so_many_wait_and_they_share_one_reading(api_server, source, monkeypatch):
    monkeypatch.setattr(process, "MAX_WAITING", 3)
    api_server.gate.clear()

    async def asked():
        with maker(source) as made:
            waiting = [asyncio.create_task(made.make(OVERVIEW)) for _ in range(4)]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            api_server.gate.set()
            return [task.result() for task in done], await asyncio.gather(*waiting)

    [refused], answers = asyncio.run(asked())

    assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "3 requests wait for it already" in refused.body
    assert [answer.status for answer in answers].count(HTTPStatus.OK) == 3


def test_who_waits_too_long_is_told_so(api_server, source, monkeypatch):
    monkeypatch.setattr(process, "PATIENCE_S", 0.0)
    api_server.gate.clear()

    async def asked():
        with maker(source) as made:
            answer = await made.make(OVERVIEW)
            api_server.gate.set()
            return answer

    assert "it was not ready within 0 s" in asyncio.run(asked()).body


def test_the_process_ends_when_nobody_has_looked_for_a_while(source, monkeypatch):
    monkeypatch.setattr(process, "IDLE_S", 0.0)

    async def asked():
        with maker(source) as made:
            await made.make(OVERVIEW)
            assert made._pool is not None
            [child] = made._pool._processes.values()
            # The pool waits for the same process: who does so second is told nothing of its end.
            ended = await asyncio.to_thread(connection.wait, [child.sentinel], 20)
            return ended, await made.make(OVERVIEW)

    ended, again = asyncio.run(asked())

    assert ended
    assert again.status == HTTPStatus.OK


def test_a_failure_is_logged_and_shows_nothing_of_how(source):
    async def asked():
        with maker(source) as made:
            return await made.make(pages.Wanted("services", number="no number"))  # type: ignore[arg-type]  # what no query becomes

    answer = asyncio.run(asked())

    assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "It failed with TypeError; the webhook&#39;s log has the details." in answer.body
    assert "no number" not in answer.body


@contextlib.contextmanager
def webhook(*arguments):
    """The webhook as a process, with the lines that it logs until it serves both ports."""
    started = subprocess.Popen(
        [sys.executable, "-m", "app", "--host", "127.0.0.1", "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = []
        assert started.stderr is not None
        for line in started.stderr:
            said.append(line)
            if "the hooks are served" in line:
                break
        yield started, "".join(said)
    finally:
        started.terminate()
        started.communicate(timeout=20)


def ports(said):
    hooks = re.search(r"http://127\.0\.0\.1:(\d+)", said)
    page = next(
        entry["port"]
        for entry in map(json.loads, said.splitlines())
        if entry["event"] == "the page is served"
    )
    assert hooks
    return int(hooks[1]), page


def test_the_webhook_serves_hooks_and_page_on_two_ports_and_ends_cleanly(api_server, token):
    with webhook(
        "--page-listen", "127.0.0.1:0", "--kube-api", api_server.url, "--kube-token-file", token
    ) as (started, said):
        hooks, page = ports(said)
        assert "10.77.0.203" in httpx.get(f"http://127.0.0.1:{page}/", timeout=30).text
        assert httpx.get(f"http://127.0.0.1:{hooks}/", timeout=30).status_code == 404
        started.send_signal(signal.SIGTERM)
        _, rest = started.communicate(timeout=20)
        assert started.returncode == 0
        for line in rest.splitlines():
            json.loads(line)  # no traceback, no warning of the interpreter


def test_hooks_are_answered_while_a_page_waits_for_an_api_server_that_hangs(api_server, token):
    api_server.gate.clear()
    with (
        webhook(
            "--page-listen",
            "127.0.0.1:0",
            "--kube-api",
            api_server.url,
            "--kube-token-file",
            token,
        ) as (_, said),
        httpx.Client(timeout=30) as somebody,
    ):
        hooks, page = ports(said)
        looking = threading.Thread(target=somebody.get, args=(f"http://127.0.0.1:{page}/",))
        looking.start()
        answer = httpx.post(
            f"http://127.0.0.1:{hooks}/hooks/balancer/sync", json=examples.BALANCER_SYNC
        )
        assert answer.status_code == 200
        assert looking.is_alive()
        api_server.gate.set()
        looking.join()


def test_a_port_that_is_taken_is_logged_and_the_hooks_are_served(api_server):
    taken = api_server.server_address[1]
    with webhook("--page-listen", f"127.0.0.1:{taken}") as (_, said):
        assert "the page is not served" in said
        assert "the hooks are served" in said


def test_without_the_setting_there_is_no_page():
    with webhook() as (_, said):
        assert "page" not in said
