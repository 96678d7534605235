# SPDX-License-Identifier: MIT
"""The connection to the API server against a server that does what broken ones do."""

import asyncio
import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from lightkube.config import client_adapter, models

from app.upkeep import certificates
from speaker.cluster import api

THINGS = api.Resource("things", "/api/v1/things", {"labelSelector": "a=b"})
Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def page(
    *names: str, token: str = "", version: str = "100", status: str = "200 OK"
) -> tuple[str, dict[str, Any]]:
    items = [{"metadata": {"name": name}} for name in names]
    return status, {
        "metadata": {"resourceVersion": version, "continue": token},
        "items": items,
    }


def send(writer: asyncio.StreamWriter, status: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@contextlib.asynccontextmanager
async def serving(answer: Answer, **listens: Any) -> AsyncIterator[tuple[int, list[str]]]:
    """Yield the port of a server that answers each request line with `answer`."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line = head.split("\r\n", 1)[0]
                seen.append(line)
                await answer(line, writer)
                await writer.drain()
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, **listens)
    try:
        async with asyncio.timeout(10):
            yield listening.sockets[0].getsockname()[1], seen
    finally:
        listening.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[api.Api, list[str]]]:
    """Yield a client of such a server."""
    async with serving(answer) as (port, seen):
        client = api.Api(httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
        try:
            yield client, seen
        finally:
            await client.close()


def test_a_list_is_read_page_by_page() -> None:
    pages = [page("a", "b", token="more"), page("c", version="101")]
    pages[0][1]["items"][0]["metadata"]["managedFields"] = [{"manager": "kubectl"}]

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        status, body = pages.pop(0)
        send(writer, status, json.dumps(body).encode())

    async def scenario() -> None:
        async with server(answer) as (client, seen):
            items, version = await client.list(THINGS)
        assert "managedFields" not in items[0]["metadata"]
        assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
        assert version == "101"
        assert "labelSelector=a%3Db" in seen[0]
        assert "continue=more" in seen[1]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "body", "said", "code"),
    [
        ("410 Gone", b'{"message":"too old"}', "410: too old", 410),
        ("503 Service Unavailable", b"<html>", "503: <html>", 503),
        ("200 OK", b"not json", "not JSON", 0),
        ("200 OK", b"{}", "not a list: {}", 0),
        ("200 OK", b"[]", "not a list", 0),
        ("200 OK", b'{"metadata":{}}', "not a list", 0),
        ("200 OK", b'{"metadata":{"resourceVersion":"1"},"items":5}', "not a list", 0),
    ],
)
def test_what_the_server_says_is_told(status: str, body: bytes, said: str, code: int) -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        send(writer, status, body)

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.ApiError, match=said) as caught:
                await client.list(THINGS)
            assert caught.value.status == code

    asyncio.run(scenario())


def test_a_server_that_hangs_up_is_an_api_error() -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.ApiError, match="things"):
                await client.list(THINGS)

    asyncio.run(scenario())


async def stream(writer: asyncio.StreamWriter, *lines: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for line in lines:
        writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        await writer.drain()


async def watched(client: api.Api) -> list[api.Manifest]:
    return [event async for event in client.watch(THINGS, "7", 0)]


def test_watch_events_arrive_however_they_are_cut() -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await stream(writer, b'{"type":"ADD', b'ED"}\n{"type":"X"}', b"\n")
        writer.write(b"0\r\n\r\n")

    async def scenario() -> None:
        async with server(answer) as (client, seen):
            assert await watched(client) == [{"type": "ADDED"}, {"type": "X"}]
        assert "resourceVersion=7" in seen[0]
        assert "timeoutSeconds=0" in seen[0]
        assert "allowWatchBookmarks=1" in seen[0]

    asyncio.run(scenario())


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_only_a_line_feed_ends_a_watch_event(character: str) -> None:
    note = {"type": "ADDED", "object": {"note": f"one{character}two"}}

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        line = json.dumps(note, ensure_ascii=False).encode() + b"\n"
        await stream(writer, *(line[at : at + 1] for at in range(len(line))), line + b"\r\n" + line)
        writer.write(b"0\r\n\r\n")

    async def scenario() -> None:
        async with server(answer) as (client, _):
            assert await watched(client) == [note] * 3

    asyncio.run(scenario())


def test_a_half_open_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_SILENCE_GRACE_S", 0.05)

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await stream(writer, b'{"type":"ADDED"}\n')
        await asyncio.sleep(5)

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.ApiError, match="ReadTimeout"):
                await watched(client)

    asyncio.run(scenario())


@pytest.mark.parametrize("ending", [b"nonsense\n", b"\xff\n"])
def test_nonsense_in_a_stream_is_an_api_error(ending: bytes) -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await stream(writer, ending)
        writer.write(b"0\r\n\r\n")

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.MalformedError, match="not JSON"):
                await watched(client)

    asyncio.run(scenario())


def test_a_stream_cut_in_the_middle_is_an_api_error() -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await stream(writer, b'{"type":"ADDED"}\n')

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.ApiError, match="watching things"):
                await watched(client)

    asyncio.run(scenario())


def test_a_watch_that_is_refused_tells_its_status() -> None:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        send(writer, "410 Gone", b'{"message":"too old resource version"}')

    async def scenario() -> None:
        async with server(answer) as (client, _):
            with pytest.raises(api.ApiError, match="too old") as caught:
                await watched(client)
            assert caught.value.status == 410

    asyncio.run(scenario())


def test_a_token_that_the_kubelet_has_renewed_is_read_again(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    valid = "of the first hour"
    file.write_text(valid, encoding="ascii")

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.headers["Authorization"] != f"Bearer {valid}":
            return httpx2.Response(401, json={"message": "Unauthorized"})
        return httpx2.Response(200, json=page("a")[1])

    auth = client_adapter.BearerTokenFileAuth(str(file))
    transport = httpx2.MockTransport(answer)
    client = api.Api(httpx2.AsyncClient(transport=transport, auth=auth, base_url="http://api"))

    async def scenario() -> None:
        nonlocal valid
        await client.list(THINGS)
        # An outage outlasts the token: the old one is refused, and the file has a new one.
        valid = "of the second hour"
        file.write_text(valid, encoding="ascii")
        items, _ = await client.list(THINGS)
        assert items
        await client.close()

    asyncio.run(scenario())


def kubeconfig(folder: pathlib.Path, server: str, **cluster: str) -> str:
    file = folder / "kubeconfig"
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "me", "user": {"token": "mine"}}],
    }
    file.write_text(json.dumps(config), encoding="ascii")
    return str(file)


def test_authorities_that_the_cluster_has_changed_are_read_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = certificates.make_authority(), certificates.make_authority()
    made = certificates.make(new, ["localhost"])
    for name, pem in (
        *(("tls.crt", made.certificate), ("tls.key", made.key)),
        *(("ca.crt", old.certificate), ("new.crt", new.certificate)),
    ):
        (tmp_path / name).write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        status, body = page("a")
        send(writer, status, json.dumps(body).encode())

    async def scenario() -> None:
        async with serving(answer, ssl=context) as (port, _):
            config = kubeconfig(
                tmp_path, f"https://localhost:{port}", **{"certificate-authority": "ca.crt"}
            )
            monkeypatch.setenv("KUBECONFIG", config)
            client = api.Api.from_environment()
            with pytest.raises(api.ApiError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.list(THINGS)
            (tmp_path / "new.crt").replace(tmp_path / "ca.crt")
            with pytest.raises(api.ApiError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.list(THINGS)
            items, _ = await client.list(THINGS)
            assert items
            await client.close()

    asyncio.run(scenario())


def loopback(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


@pytest.mark.namespace
def test_a_server_that_is_gone_without_a_word_is_noticed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sooner = {socket.TCP_KEEPIDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 1}
    assert {option for _, option, _ in api._KEEPALIVE} > sooner.keys()
    monkeypatch.setattr(
        api,
        "_KEEPALIVE",
        [(level, option, sooner.get(option, value)) for level, option, value in api._KEEPALIVE],
    )
    forever = asyncio.Event()
    loopback("up")

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        await stream(writer, b'{"type":"ADDED"}\n')
        await forever.wait()

    async def scenario() -> None:
        async with serving(answer) as (port, _):
            monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, f"http://127.0.0.1:{port}"))
            client = api.Api.from_environment()
            following = client.watch(THINGS, "100", 300)
            assert await anext(following) == {"type": "ADDED"}
            loopback("down")
            with pytest.raises(api.ApiError, match="watching things: ReadError"):
                await anext(following)
            await client.close()

    asyncio.run(scenario())


def unreachable(request: httpx2.Request) -> httpx2.Response:
    raise AssertionError("nothing is sent without credentials")


@pytest.mark.parametrize(
    ("plug_in", "said"),
    [
        (["false"], "Exec false returned 1"),
        (["no-such-plug-in"], "No such file or directory: 'no-such-plug-in'"),
        (["echo", "nonsense"], "Expecting value"),
        (["echo", "{}"], "KeyError: 'status'"),
        (["echo", "[]"], "TypeError: list indices"),
        (None, "Token file .*/token not found"),
    ],
)
def test_credentials_that_can_not_be_read_are_an_api_error(
    plug_in: list[str] | None, said: str, tmp_path: pathlib.Path
) -> None:
    auth: httpx2.Auth = client_adapter.BearerTokenFileAuth(str(tmp_path / "token"))
    if plug_in is not None:
        command, *args = plug_in
        version = "client.authentication.k8s.io/v1beta1"
        auth = client_adapter.ExecAuth(models.UserExec(version, command=command, args=args))

    async def scenario() -> None:
        transport = httpx2.MockTransport(unreachable)
        client = api.Api(httpx2.AsyncClient(transport=transport, auth=auth, base_url="http://api"))
        with pytest.raises(api.ApiError, match=f"GET /api/v1/things: .*{said}"):
            await client.list(THINGS)
        with pytest.raises(api.ApiError, match=f"watching things: .*{said}"):
            await watched(client)
        await client.close()

    asyncio.run(scenario())
