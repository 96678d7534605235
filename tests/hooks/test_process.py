# SPDX-License-Identifier: MIT
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from app.models import examples
from bench import requests


@contextlib.contextmanager
def webhook(*arguments, host=("--host", "127.0.0.1")):
    """The webhook as a process of its own, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *host, "--port", "0", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"http://[^\"]+", line)
            if found:
                break
        else:
            pytest.fail("the webhook ended before it listened")
        yield process, found[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_webhook_answers_as_a_process_and_ends_cleanly_on_sigterm():
    with webhook() as (process, url):
        response = httpx.post(f"{url}/hooks/balancer/sync", json=examples.BALANCER_SYNC)
        assert response.status_code == 200
        assert len(response.json()["children"]) == 3
        process.send_signal(signal.SIGTERM)
        _, logged = process.communicate(timeout=20)
        assert process.returncode == 0
        for line in logged.splitlines():
            json.loads(line)  # no traceback, no warning of the interpreter


def test_where_nothing_is_said_the_webhook_is_reached_over_either_family():
    families = {"127.0.0.1": "127.0.0.1", "::1": "[::1]"}
    with webhook(host=()) as (_, url):
        for address in filter(is_here, families):
            answer = httpx.get(f"http://{families[address]}:{httpx.URL(url).port}/healthz")
            assert answer.json() == {"status": "ok"}


def is_here(address):
    """Whether this machine has an address: not all have IPv6."""
    try:
        socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        ).close()
    except OSError:
        return False
    return True


def test_a_large_request_is_answered_by_a_worker_that_ends_with_the_webhook():
    services = [requests.service(f"web-{n}") for n in range(100)]
    nodes = [requests.node(f"n{n}") for n in range(5)]
    body = requests.composite(
        requests.balancer(addressPool=["10.0.0.0/16"], ipCount=3), services=services, nodes=nodes
    )
    with webhook("--log-level", "info") as (process, url):
        response = httpx.post(f"{url}/hooks/balancer/sync", json=body, timeout=30)
        assert len(response.json()["children"]) == 300
        started = children_of(process.pid)
        assert started
        process.kill()
        process.wait(20)
        for pid in started:
            wait_for_end(pid)


def children_of(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


def wait_for_end(pid):
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], 20)[0], f"process {pid} outlived the webhook"
        finally:
            os.close(handle)


def test_settings_that_cannot_be_used_end_it_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "app", "--port", "http"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "--port is 'http': write a whole number from 0 to 65535\n"


def test_a_port_that_is_taken_ends_it_with_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "app", "--host", "127.0.0.1", "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"--host 127.0.0.1 with --port {port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_certificate_that_cannot_be_read_ends_it_with_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "app", "--tls-cert", "/none.crt", "--tls-key", "/none.key"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--tls-cert /none.crt" in done.stderr
    assert "Traceback" not in done.stderr
