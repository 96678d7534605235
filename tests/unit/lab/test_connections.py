# SPDX-License-Identifier: MIT
import asyncio
import json
import socket
import subprocess
import sys
import threading

import pytest

from lab import connections


def record(served=(), failed=()):
    return connections.Record(
        "192.0.2.1", 80, [(s, 0.001) for s in served], [(f, "refused") for f in failed]
    )


def test_the_gap_is_between_the_starts_of_served_connections():
    seen = connections.summary(
        record(served=[0.0, 0.02, 0.26, 0.28], failed=[0.04, 0.06]), began=0.0, ended=0.28
    )
    assert seen["longest_gap_s"] == 0.24
    assert seen["gap_began"] == 0.02
    assert (seen["served"], seen["failed"]) == (4, 2)


def test_an_outage_that_has_not_ended_counts_up_to_the_end():
    seen = connections.summary(record(served=[0.0]), began=0.0, ended=7.0)
    assert seen["longest_gap_s"] == 7.0


def test_an_address_never_served_is_one_gap():
    seen = connections.summary(record(failed=[1.0, 2.0]), began=1.0, ended=2.0)
    assert (seen["longest_gap_s"], seen["median_s"]) == (1.0, None)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1", ("192.0.2.1", 80)),
        ("192.0.2.1:8080", ("192.0.2.1", 8080)),
        ("2001:db8::1", ("2001:db8::1", 80)),
        ("[2001:db8::1]:8080", ("2001:db8::1", 8080)),
    ],
)
def test_targets_are_addresses_with_or_without_a_port(text, target):
    parsed = connections.parse_target(text)
    assert (parsed.address, parsed.port) == target


def test_it_tells_who_answered_who_did_not_and_who_hung_up():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.0 200 OK\r\n\r\n{"node": "n1", "pod": "web-1"}\n')
        await writer.drain()
        writer.close()

    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        rude = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        rude_port = rude.sockets[0].getsockname()[1]
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", connections.__file__, "--every", "0.01"),
            *(f"127.0.0.1:{port}", "127.0.0.1:1", f"127.0.0.1:{rude_port}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin
        assert process.stdout
        assert await process.stdout.readline() == b"started\n"
        output, _ = await process.communicate(b"")  # and close
        server.close()
        rude.close()
        return json.loads(output)

    alive, dead, cut = asyncio.run(run())
    assert alive["failed"] == 0
    assert list(alive["servers"]) == ["n1/web-1"]
    assert dead["served"] == 0
    assert "Errno 111" in dead["failures"][0]["why"]
    assert (cut["served"], cut["failed"]) == (0, 0)
    assert cut["cut"] > 0


def test_a_reset_that_is_noticed_late_is_one_of_a_connection_that_was_open():
    async def run() -> connections.Record:
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def reset() -> None:
                accepted, _ = listening.accept()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, connections.RESET_ON_CLOSE)
                accepted.close()

            resetting = threading.Thread(target=reset)
            resetting.start()
            seen = connections.Record("127.0.0.1", listening.getsockname()[1])
            connecting = asyncio.create_task(connections.connect_once(seen))
            await asyncio.sleep(0)  # it has begun to connect
            resetting.join()  # and does not get to know before this
            await connecting
            return seen

    seen = asyncio.run(run())
    assert len(seen.cut) == 1
    assert not seen.failed
