# SPDX-License-Identifier: MIT
import asyncio
import io
import json
from collections.abc import Callable

import httpx
import pytest

from lab.metacontroller import hooks
from lab.metacontroller.errors import HookError, TooManyRequestsError
from lab.metacontroller.trace import Trace

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z


def called(
    answer: Callable[[httpx.Request], httpx.Response], *, trace: Trace | None = None
) -> bytes:
    async def call() -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            hook = hooks.Hook(
                client,
                name="balancer/sync",
                url="http://hooks.example/sync",
                trace=trace or Trace(),
                now=lambda: NOW,
            )
            return await hook.call({"parent": {"a": 1}})

    return asyncio.run(call())


def test_status_200_is_success_whatever_it_holds() -> None:
    assert called(lambda _: httpx.Response(200, content=b"no JSON")) == b"no JSON"


def test_the_request_is_json() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["content-type"] == "application/json"
        return httpx.Response(200, content=request.content)

    assert json.loads(called(answer)) == {"parent": {"a": 1}}


@pytest.mark.parametrize("status", [201, 204, 301, 304, 400, 404, 500, 503])
def test_any_other_status_is_a_failure_that_names_what_was_said(status: int) -> None:
    with pytest.raises(HookError, match=f"status code: {status} body: no nodes"):
        called(lambda _: httpx.Response(status, content=b"no nodes"))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("7", 7.0),
        ("Mon, 21 Sep 2026 14:13:25 GMT", 5.0),
        ("Mon, 21 Sep 2020 13:33:25 GMT", 0.0),
        ("soon", 0.0),
    ],
)
def test_429_waits_for_as_long_as_the_header_says(header: str | None, seconds: float) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(TooManyRequestsError) as raised:
        called(lambda _: httpx.Response(429, headers=headers))
    assert raised.value.retry_after_s == seconds


def test_a_hook_that_is_not_there_is_a_failure() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(HookError, match=r"http error: http://hooks\.example/sync"):
        called(refuse)


def test_a_trace_has_a_line_for_each_call() -> None:
    file = io.StringIO()
    called(lambda _: httpx.Response(200, json={"children": []}), trace=Trace(file))
    with pytest.raises(HookError):
        called(lambda _: httpx.Response(500, content=b"no"), trace=Trace(file))
    assert [json.loads(line) for line in file.getvalue().splitlines()] == [
        {
            "hook": "balancer/sync",
            "request": {"parent": {"a": 1}},
            "status": 200,
            "answer": {"children": []},
        },
        {"hook": "balancer/sync", "request": {"parent": {"a": 1}}, "status": 500, "answer": "no"},
    ]
