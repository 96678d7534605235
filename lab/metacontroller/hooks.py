# SPDX-License-Identifier: MIT
"""Calls of webhooks: only status 200 is success."""

import asyncio
import http
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from lab.metacontroller.errors import HookError, TooManyRequestsError
from lab.metacontroller.trace import Trace

TIMEOUT_S = 10.0

Now = Callable[[], float]


class Hook:
    """One webhook of one controller."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        name: str,
        url: str,
        timeout_s: float = TIMEOUT_S,
        trace: Trace,
        now: Now = time.time,
    ) -> None:
        self._client = client
        self._name = name
        self._url = url
        self._timeout_s = timeout_s
        self._trace = trace
        self._now = now

    async def call(self, request: Mapping[str, Any]) -> bytes:
        """Post ``request`` and return the answer's body.

        Raises :class:`TooManyRequestsError` for status 429 and
        :class:`HookError` for anything else that is not 200.
        """
        body = msgspec.json.encode(request)
        headers = {"Content-Type": "application/json", "User-Agent": "metacontroller-stand-in"}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(self._url, content=body, headers=headers)
        except TimeoutError as error:
            self._trace.call(self._name, request, 0, b"")
            raise HookError(
                f"http error: {self._url} did not answer in {self._timeout_s} s"
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            self._trace.call(self._name, request, 0, b"")
            raise HookError(f"http error: {self._url}: {error!r}") from error
        self._trace.call(self._name, request, answer.status_code, answer.content)
        if answer.status_code == http.HTTPStatus.TOO_MANY_REQUESTS:
            raise TooManyRequestsError(
                retry_after_s(answer.headers.get("Retry-After"), self._now())
            )
        if answer.status_code != http.HTTPStatus.OK:
            raise HookError(f"unsupported status code: {answer.status_code} body: {answer.text}")
        return answer.content


def retry_after_s(header: str | None, now: float) -> float:
    """Read a Retry-After header, a number of seconds or a date; 0 for one that is neither.

    ``now`` is in seconds since the epoch. 0 means at once: a hook that answers
    429 without the header is called in a hot loop, here as in the real one.
    """
    if header is None:
        return 0.0
    try:
        return float(int(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return 0.0
