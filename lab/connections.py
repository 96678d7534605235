# SPDX-License-Identifier: MIT
"""What a client sees of addresses over time: a new connection to each, every 20 ms.

``python -I lab/connections.py [--every 0.02] ADDRESS[:PORT] ...`` runs in the client's network
namespace and imports nothing beyond the standard library. It prints the line ``started``, goes on
until its standard input ends, and prints one JSON document, see :func:`summary`.

A connection is *served* when it was established and answered before the kernel would send its
first SYN again (1 s, RFC 6298 §2.1): a later answer is owed to the retransmission and would hide
an outage. One that was established and then reset or forgotten is *cut*: it was open when its
address moved, and a service proxy's connection tracking does not move along. All others *failed*.
Connections are started whether or not earlier ones answered, so a time-out does not round an
outage up.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SERVED_WITHIN_S = 0.9  # less than the kernel's initial SYN retransmission time-out of 1 s
EVERY_S = 0.02
REQUEST = b"GET / HTTP/1.0\r\nHost: echo\r\n\r\n"
ANSWER_LIMIT = 64 * 1024
MAX_SAMPLES = 500_000  # 2.7 hours of one address at 50 a second
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT, which would use up the ports


@dataclass(slots=True)
class Record:
    """All that happened to one address: start times in seconds since the epoch, in order."""

    address: str
    port: int
    served: list[tuple[float, float]] = field(default_factory=list)  # (start, seconds it took)
    failed: list[tuple[float, str]] = field(default_factory=list)  # (start, why)
    cut: list[tuple[float, str]] = field(default_factory=list)  # likewise
    servers: dict[str, int] = field(default_factory=dict)  # "node/pod" -> connections


def summary(record: Record, *, began: float, ended: float) -> dict[str, Any]:
    """Return one address's result.

    ``longest_gap_s`` is the longest time between the starts of two served connections that follow
    each other, and ``gap_began`` when it began; an outage that had not ended counts up to the end.
    """
    starts = [began, *sorted(start for start, _ in record.served), ended]
    gap_s, gap_began = max(
        ((later - earlier, earlier) for earlier, later in itertools.pairwise(starts)),
        default=(0.0, began),
    )
    took = sorted(seconds for _, seconds in record.served)
    return {
        "address": record.address,
        "port": record.port,
        "served": len(record.served),
        "failed": len(record.failed),
        "failures": [{"at": at, "why": why} for at, why in record.failed],
        "cut": len(record.cut),
        "longest_gap_s": round(gap_s, 4),
        "gap_began": gap_began,
        "median_s": round(took[len(took) // 2], 6) if took else None,
        "servers": dict(sorted(record.servers.items())),
    }


async def connect_once(record: Record) -> None:
    """Open one connection, ask, read the answer, close; and note how it went."""
    started = time.time()
    clock = time.monotonic()
    family = socket.AF_INET6 if ":" in record.address else socket.AF_INET
    ended = record.failed
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        try:
            async with asyncio.timeout(SERVED_WITHIN_S):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(connection, (record.address, record.port))
                ended = record.cut
                server = await _ask(connection)
        except TimeoutError:
            ended.append((started, f"no answer within {SERVED_WITHIN_S} s"))
        except ConnectionResetError as error:
            # Of one that was established, whenever that is noticed: before, a reset is a refusal
            # (Linux net/ipv4/tcp_input.c, tcp_reset).
            record.cut.append((started, str(error)))
        except (OSError, ValueError) as error:
            ended.append((started, str(error)))
        else:
            record.served.append((started, time.monotonic() - clock))
            record.servers[server] = record.servers.get(server, 0) + 1


async def _ask(connection: socket.socket) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, REQUEST)
    answer = b""
    while len(answer) < ANSWER_LIMIT and (part := await loop.sock_recv(connection, 4096)):
        answer += part
    _, _, body = answer.partition(b"\r\n\r\n")
    who = json.loads(body)
    return f"{who['node']}/{who['pod']}"


async def watch(records: Sequence[Record], *, every_s: float, until: asyncio.Event) -> None:
    """Start a connection to each address every ``every_s`` seconds until told to stop."""
    loop = asyncio.get_running_loop()
    next_start = loop.time()
    async with asyncio.TaskGroup() as connections:
        while not until.is_set():
            for record in records:
                if len(record.served) + len(record.failed) + len(record.cut) >= MAX_SAMPLES:
                    raise SystemExit(f"{record.address}: more than {MAX_SAMPLES} connections")
                connections.create_task(connect_once(record))
            next_start += every_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_start):
                    await until.wait()


def parse_target(text: str) -> Record:
    """Read ``ADDRESS`` or ``ADDRESS:PORT``; an IPv6 address with a port stands in brackets."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return Record(address, int(port.removeprefix(":") or 80))
    if text.count(":") > 1:
        return Record(text, 80)
    address, _, port = text.partition(":")
    return Record(address, int(port or 80))


async def main(targets: Sequence[str], *, every_s: float) -> None:
    """Run until standard input ends, then print the result."""
    records = [parse_target(target) for target in targets]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read_input() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin)
            stop.set()

    loop.add_reader(sys.stdin, read_input)
    began = time.time()
    print("started", flush=True)
    await watch(records, every_s=every_s, until=stop)
    # What was started less than one answer's time ago counts as well: it was awaited.
    ended = max([began, *(at for r in records for at, _ in (*r.served, *r.failed, *r.cut))])
    print(json.dumps([summary(record, began=began, ended=ended) for record in records]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("targets", nargs="+", metavar="ADDRESS[:PORT]")
    parser.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.targets, every_s=arguments.every))
