# SPDX-License-Identifier: MIT
"""How long the hooks take: the real webhook process, real HTTP, requests as Metacontroller's.

p50, p99 and worst are what a client on the same machine waits, one that costs next to nothing
itself; cpu is the processor time of the webhook and its worker, a call, which a busy machine
changes little. 'At rest' nothing changes from sync to sync but what was asked about; 'one Service
comes and goes' has its addresses worked out anew each time. The last rows show what the small
hooks wait while large syncs run without a pause (were the event loop blocked meanwhile, as long as
such a sync), and the most memory that webhook and worker had after any of 1,000 more of those, and
what the last half of them added to it. The very last is the most that both ever had, in the midst
of a call too, once a balancer's request was nearly as large as may be: the chart's limit holds it.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from bench import requests
from bench.common import table

SIZES: Final = ((10, 5), (100, 20), (1000, 100))  # Services of 3 addresses, and nodes
LARGE: Final = {"p50_ms": 250.0, "p99_ms": 500.0}
BARS: Final = {
    "balancer sync, 100 Services x 3, 20 nodes, at rest": {"p50_ms": 25.0},
    "balancer sync, 100 Services x 3, 20 nodes, one Service comes and goes": {"p50_ms": 25.0},
    "balancer sync, 1000 Services x 3, 100 nodes, at rest": LARGE,
    "balancer sync, 1000 Services x 3, 100 nodes, one Service comes and goes": LARGE,
    "service customize": {"p50_ms": 0.3},
    "service sync, 3 children": {"p50_ms": 1.5},
    "service customize, during large syncs": {"p99_ms": 50.0},
    "resident memory": {"all_mb": 250.0, "growth_mb": 5.0},
    "resident memory, 6000 Services x 3, 100 nodes": {"most_mb": 1024.0},
}
LARGEST: Final = 6000, 100
CALLS: Final = 60
MEMORY_CALLS: Final = 1000
LARGEST_CALLS: Final = 10
START_TIMEOUT_S: Final = 20.0
WARM_UP_CALLS: Final = 3
HEAD_ENDS: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")
RESIDENT: Final = {
    name: re.compile(rf"^{name}:\s+(\d+) kB$", re.MULTILINE) for name in ("VmRSS", "VmHWM")
}
Json = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, and write it as JSON where `--json` says."""
    parser = argparse.ArgumentParser(prog="python -m bench hooks", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument(
        "--calls", type=int, default=CALLS, help=f"large syncs a row (default: {CALLS})"
    )
    chosen = parser.parse_args(arguments)
    rows = []
    with webhook() as (client, pid):
        for row in _rows(client, pid, chosen.calls):
            rows.append(table.judged(row, BARS.get(row["row"], {})))
            print(table.line(rows[-1]), flush=True)
    if chosen.json is not None:
        table.write(chosen.json, "hooks", __doc__, rows)
    return 0


@contextlib.contextmanager
def webhook() -> Iterator[tuple[httpx.Client, int]]:
    """Run the webhook as a process, and yield a client of it and its process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "error"])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_until_ready(client, process)
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_S)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the webhook ended with status {process.returncode}")
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").is_success:
                return
        time.sleep(0.05)
    raise SystemExit(f"the webhook was not ready within {START_TIMEOUT_S:.0f} s")


def _rows(client: httpx.Client, pid: int, calls: int) -> Iterator[Json]:
    largest = b""
    for services, nodes in SIZES:
        first, at_rest = bodies(services, nodes, _post(client, "balancer/sync"))
        label = f"balancer sync, {services} Services x 3, {nodes} nodes"
        rounds = calls if services > SIZES[0][0] else calls * 5
        for state, sent, times in (
            ("from nothing", [first], calls // 3),
            ("at rest", [at_rest], rounds),
            ("one Service comes and goes", [at_rest, one_more(at_rest)], rounds),
        ):
            yield _measured(
                f"{label}, {state}", client, pid, hook="balancer/sync", sent=sent, calls=times
            )
        largest = at_rest
    service = requests.service("web")
    customize = json.dumps(requests.customize(service)).encode()
    sync = json.dumps(requests.decorator(service, children=_children(service))).encode()
    yield _measured(
        "service customize", client, pid, hook="service/customize", sent=[customize], calls=2000
    )
    yield _measured(
        "service sync, 3 children", client, pid, hook="service/sync", sent=[sync], calls=1000
    )
    with _busy(client, largest):
        yield _measured(
            "service customize, during large syncs",
            client,
            pid,
            hook="service/customize",
            sent=[customize],
            calls=2000,
        )
    half = min(MEMORY_CALLS, calls * MEMORY_CALLS // CALLS) // 2
    halves = [
        max(_tree_mb(pid) for _ in _repeat(client, [largest, one_more(largest)], half))
        for _ in range(2)
    ]
    yield {
        "row": "resident memory",
        "webhook_mb": _resident_mb(pid),
        "all_mb": halves[1],
        "growth_mb": halves[1] - halves[0],
        "calls": 2 * half,
    }
    services, nodes = LARGEST
    _, at_rest = bodies(services, nodes, _post(client, "balancer/sync"))
    sent = [at_rest, one_more(at_rest)]
    yield {
        "row": f"resident memory, {services} Services x 3, {nodes} nodes",
        "most_mb": [_tree_mb(pid, "VmHWM") for _ in _repeat(client, sent, LARGEST_CALLS)][-1],
        "calls": LARGEST_CALLS,
        "request_kb": len(at_rest) // 1024,
    }


def bodies(services: int, nodes: int, sync: Callable[[bytes], Json]) -> tuple[bytes, bytes]:
    """Return a balancer's sync request before anything exists, and once all is at rest."""
    parent = requests.balancer(addressPool=["10.0.0.0/16"], ipCount=3)
    members = [requests.node(f"node-{n:03}") for n in range(nodes)]
    asking = [requests.service(f"web-{n}", namespace=f"team-{n % 20}") for n in range(services)]
    first = requests.composite(parent, services=asking, nodes=members)
    answer = sync(json.dumps(first).encode())
    parent["status"] = answer["status"] | {"observedGeneration": 1}
    children = [requests.observe(child, parent=parent) for child in answer["children"]]
    at_rest = requests.composite(parent, services=asking, nodes=members, children=children)
    return json.dumps(first).encode(), json.dumps(at_rest).encode()


def one_more(body: bytes) -> bytes:
    """Return a sync request with one more Service, which has no children yet."""
    request = json.loads(body)
    services = request["related"][requests.SERVICES]
    services |= requests.keyed([requests.service("one-more", namespace="team-0")])
    return json.dumps(request).encode()


def _children(service: Json) -> list[Json]:
    parent = requests.balancer()
    request = requests.composite(
        parent, services=[service], nodes=[requests.node(f"n{n}", images=0) for n in range(3)]
    )
    with webhook() as (client, _):
        answer = _post(client, "balancer/sync")(json.dumps(request).encode())
    return [requests.observe(child, parent=parent) for child in answer["children"]]


def _post(client: httpx.Client, hook: str) -> Callable[[bytes], Json]:
    def post(body: bytes) -> Json:
        response = client.post(f"/hooks/{hook}", content=body)
        if response.status_code != httpx.codes.OK:
            raise SystemExit(f"{hook} answered {response.status_code}: {response.text[:500]}")
        answer: Json = response.json()
        return answer

    return post


def _measured(
    row: str, client: httpx.Client, pid: int, *, hook: str, sent: Sequence[bytes], calls: int
) -> Json:
    took = []
    bodies = itertools.cycle(sent)
    address = str(client.base_url.host), client.base_url.port
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(WARM_UP_CALLS):
            _call(connection, hook, next(bodies))
        cpu_s = _tree_cpu_s(pid)
        for _ in range(calls):
            body = next(bodies)
            began = time.perf_counter()
            _call(connection, hook, body)
            took.append((time.perf_counter() - began) * 1000)
        cpu_s = _tree_cpu_s(pid) - cpu_s
    took.sort()
    return {
        "row": row,
        "p50_ms": round(statistics.median(took), 2),
        "p99_ms": round(took[int(len(took) * 0.99)], 2),
        "worst_ms": round(took[-1], 2),
        "cpu_ms": round(cpu_s * 1000 / calls, 2),
        "calls": calls,
        "request_kb": len(sent[-1]) // 1024,
    }


def _repeat(client: httpx.Client, sent: Sequence[bytes], calls: int) -> Iterator[None]:
    """Send large syncs one after another, and yield after each."""
    bodies = itertools.cycle(sent)
    with socket.create_connection((str(client.base_url.host), client.base_url.port)) as connection:
        for _ in range(calls):
            _call(connection, "balancer/sync", next(bodies))
            yield


def _call(connection: socket.socket, hook: str, body: bytes) -> None:
    """Ask and take the whole answer: any HTTP client would spend more than a small hook does."""
    head = f"POST /hooks/{hook} HTTP/1.1\r\nHost: webhook\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    got = bytearray()
    missing = 1
    while missing > 0:
        part = connection.recv(1 << 18)
        if not part:
            raise SystemExit(f"{hook}: the webhook closed the connection")
        got += part
        before, blank, _ = got.partition(HEAD_ENDS)
        length = LENGTH.search(before + blank)
        if blank and length is not None:
            missing = len(before + blank) + int(length[1]) - len(got)
    if not got.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"{hook} answered {bytes(got[:500])!r}")


@contextlib.contextmanager
def _busy(client: httpx.Client, body: bytes) -> Iterator[None]:
    """Send large syncs one after another for as long as the block runs."""
    done = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as other:
            while not done.is_set():
                other.post("/hooks/balancer/sync", content=body)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _resident_mb(pid: int, line: str = "VmRSS") -> int:
    match = RESIDENT[line].search(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(match[1]) // 1024 if match else 0


def _tree_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime
    return own + sum(_tree_cpu_s(child) for child in _children_of(pid))


def _children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in listed.split()]


def _tree_mb(pid: int, line: str = "VmRSS") -> int:
    return _resident_mb(pid, line) + sum(_tree_mb(child, line) for child in _children_of(pid))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
