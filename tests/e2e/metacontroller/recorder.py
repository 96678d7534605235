# SPDX-License-Identifier: MIT
"""One HTTP server that is the hooks, and the API server too, for a Metacontroller to record.

What is posted below /hooks/ goes to the hooks of the scenario; all else is
passed on to the API server, and what is written there is noted.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from lab.api import Json
from tests.e2e.metacontroller import server

Scope = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Json]]
Send = Callable[[Json], Awaitable[None]]

PASSED_ON = (b"accept", b"accept-encoding", b"content-type", b"user-agent")
PASSED_BACK = ("content-type", "content-encoding")
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a hook answers."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Hook = Callable[[Json], Reply]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a hook."""

    hook: str
    request: Json
    reply: Reply


@dataclass(frozen=True, slots=True)
class Write:
    """One request to the API server that is no question, and what came of it."""

    verb: str
    path: str
    body: Any
    status: int
    reason: str


class Recorder:
    """Notes calls and writes in the order in which they were answered."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.hooks: dict[str, Hook] = {}
        self.noted: list[Call | Write] = []
        self._client = client
        self._under_way = 0
        self._at = 0.0

    def begin(self) -> None:
        """Count the time from now, as if something had happened."""
        self._at = asyncio.get_running_loop().time()

    def idle_s(self) -> float:
        """Return for how long nothing was asked or written."""
        return 0.0 if self._under_way else asyncio.get_running_loop().time() - self._at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the ASGI interface."""
        assert scope["type"] == "http"
        method, path = scope["method"], scope["path"]
        body = await _body(receive)
        is_counted = method in WRITES and "/events" not in path
        self._under_way += is_counted
        try:
            if path.startswith("/hooks/"):
                await self._answer(path.removeprefix("/hooks/"), json.loads(body), send)
            else:
                await _until_gone(receive, self._pass_on(scope, body, send, is_noted=is_counted))
        finally:
            if is_counted:
                self._under_way -= 1
                self.begin()

    async def _answer(self, hook: str, request: Json, send: Send) -> None:
        reply = self.hooks[hook](request)
        self.noted.append(Call(hook, request, reply))
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json", **reply.headers}
        await _send(send, reply.status, headers, body)

    async def _pass_on(self, scope: Scope, body: bytes, send: Send, *, is_noted: bool) -> None:
        query = scope["query_string"].decode()
        request = self._client.build_request(
            scope["method"],
            scope["path"] + (f"?{query}" if query else ""),
            content=body,
            headers=[(name, value) for name, value in scope["headers"] if name in PASSED_ON],
        )
        answer = await self._client.send(request, stream=True)
        try:
            headers = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
            if is_noted:
                content = await answer.aread()
                status = answer.status_code
                reason = json.loads(content).get("reason", "") if answer.is_error else ""
                written = json.loads(body) if body else None
                self.noted.append(Write(scope["method"], scope["path"], written, status, reason))
                headers.pop("content-encoding", None)
                await _send(send, status, headers, content)
                return
            await _start(send, answer.status_code, headers)
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()


@contextlib.asynccontextmanager
async def running(url: str, token: str) -> AsyncIterator[tuple[Recorder, str]]:
    """Serve on loopback before the API server at ``url``; yield the recorder and its own URL."""
    (port,) = server.free_ports(1)
    async with httpx.AsyncClient(
        base_url=url,
        # client-go sends no token where there is no TLS.
        headers={"Authorization": f"Bearer {token}"},
        verify=False,  # nobody has signed the certificate of a server of our own on loopback
        trust_env=False,
        timeout=None,
        limits=httpx.Limits(),
    ) as client:
        recorder = Recorder(client)
        config = uvicorn.Config(
            recorder,
            host="127.0.0.1",
            port=port,
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        serving = uvicorn.Server(config)
        task = asyncio.create_task(serving._serve())  # without its handling of signals
        while not serving.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        try:
            yield recorder, f"http://127.0.0.1:{port}"
        finally:
            serving.should_exit = True
            await task


async def _until_gone(receive: Receive, answering: Coroutine[Any, Any, None]) -> None:
    """Answer for as long as there is somebody who listens: a watch has no other end."""
    task = asyncio.create_task(answering)
    gone = asyncio.create_task(receive())
    await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    await _start(send, status, {**headers, "content-length": str(len(body))})
    await send({"type": "http.response.body", "body": body})
