# SPDX-License-Identifier: MIT
import asyncio
import socket
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.agent import network, probes, spec


class Doorway:
    """The door to the machine's own network."""

    async def socket(self, family: socket.AddressFamily) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setblocking(False)
        return made


async def refuse(_: tuple[str, ...], __: float) -> str:
    return "sh ended with status 1"


def prober(address: str) -> probes.Prober:
    return probes.Prober(cast("network.Doorway", Doorway()), address, refuse)


def ask(answer: bytes | None, kind: str = "httpGet", address: str = "127.0.0.1") -> tuple[str, str]:
    """Ask a server that gives this answer; return the complaint and what the server was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n") if kind == "httpGet" else b"")
        if answer is None:
            await reader.read()  # until the client has given up
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()
        served.set()

    served = asyncio.Event()

    async def run() -> str:
        server = await asyncio.start_server(serve, address, 0)
        port = server.sockets[0].getsockname()[1]
        action = spec.Action(
            "httpGet" if kind == "httpGet" else "tcpSocket",
            port=port,
            path="/healthz",
            headers=(("X-Why", "probe"),),
        )
        complaint = await prober(address).ask(action, 0.2 if answer is None else 5)
        await served.wait()
        server.close()
        return complaint

    complaint = asyncio.run(run())
    return complaint, b"".join(asked).decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_good_status_is_no_complaint(address: str) -> None:
    complaint, asked = ask(b"HTTP/1.1 204 No Content\r\n\r\n", address=address)
    assert complaint == ""
    assert asked.startswith("GET /healthz HTTP/1.1\r\n")
    assert "X-Why: probe\r\n" in asked


@pytest.mark.parametrize("status", [199, 400, 503])
def test_another_status_is_named(status: int) -> None:
    complaint, _ = ask(b"HTTP/1.1 %d Whatever\r\n\r\n" % status)
    assert f"was answered with status {status}" in complaint


def test_something_that_is_not_http_is_a_complaint() -> None:
    complaint, _ = ask(b"SSH-2.0\r\n")
    assert "something that is not HTTP" in complaint


def test_silence_is_a_complaint_once_the_time_is_over() -> None:
    complaint, _ = ask(None)
    assert complaint.endswith("within 0.2 s")


def test_a_connection_is_enough_for_tcp() -> None:
    complaint, _ = ask(b"", kind="tcpSocket")
    assert complaint == ""


def test_a_closed_port_is_a_complaint() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        action = spec.Action("tcpSocket", port=port)
        complaint = asyncio.run(prober("127.0.0.1").ask(action, 5))
    assert complaint.startswith(f"a connection to port {port} failed")


def test_a_command_complains_for_itself() -> None:
    action = spec.Action("exec", command=("sh",))
    assert asyncio.run(prober("127.0.0.1").ask(action, 5)) == "sh ended with status 1"


def test_a_host_that_is_no_address_is_a_complaint_and_no_crash() -> None:
    action = spec.Action("tcpSocket", host="example.com", port=1)
    assert "example.com" in asyncio.run(prober("127.0.0.1").ask(action, 5))


@given(st.lists(st.booleans()), st.integers(1, 4), st.integers(1, 4))
def test_a_verdict_changes_only_after_enough_equal_answers_in_a_row(
    answers: list[bool], success: int, failure: int
) -> None:
    probe = spec.Probe(spec.Action("exec"), 0, 1, 1, success, failure, None)
    verdict = probes.Verdict(probe, good=False)
    for number in range(len(answers)):
        before = verdict.good
        verdict.judge(good=answers[number])
        needed = success if answers[number] else failure
        last = answers[max(0, number + 1 - needed) : number + 1]
        settled = len(last) == needed and len(set(last)) == 1
        assert verdict.good is (answers[number] if settled else before)
