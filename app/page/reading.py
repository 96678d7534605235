# SPDX-License-Identifier: MIT
"""What the page shows, read from the API server when somebody looks, and kept for a moment.

A reading is all or nothing: half of the lists would show addresses as missing that are not. When
one fails, the last whole one stays, with its age and what went wrong.
"""

import concurrent.futures
import dataclasses
import datetime as dt
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import msgspec

from app import events
from app.explain import reading as explained
from contract import move, names

Manifest = dict[str, Any]

KEPT_S: Final = 3.0  # a thousand Services take half a second of a processor to read
EVENTS_KEPT_S: Final = 10.0  # the API server walks all the cluster's Events for each of our lists
TIMEOUT_S: Final = 5.0  # for one answer's next byte
READING_S: Final = 20.0  # for all of a list's pages
PAGE: Final = 500
MAX_OBJECTS: Final = 20_000
MAX_EVENTS: Final = 2_000
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

LISTS: Final[Mapping[str, str]] = {
    "balancers": f"/apis/{names.API_VERSION}/{names.PLURAL}",
    "nodes": "/api/v1/nodes",
    "services": "/api/v1/services",
}
EVENTS: Final = "/api/v1/events"


class ReadingError(Exception):
    """A list could not be read; the message is a sentence for whoever looks at the page."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The cluster's objects as one look found them, and when that was.

    `events_left_out` is whether there are more Events of ours than are read.
    """

    objects: explained.Objects
    at: dt.datetime
    events_left_out: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """The last whole reading, if there ever was one, and why there is no newer one."""

    reading: Reading | None
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _List:
    items: tuple[Manifest, ...]
    left_out: bool


class Reader:
    """Reads at most once in `KEPT_S`, whoever asks how often. For one thread only."""

    def __init__(
        self,
        cluster: events.Cluster,
        *,
        clock: Callable[[], dt.datetime],
        client: httpx.Client | None = None,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._client = client or _client(cluster)
        self._state = State(None)
        self._tried: dt.datetime | None = None
        self._events = _List((), left_out=False)
        self._events_at: dt.datetime | None = None

    def state(self) -> State:
        """Return what is known now. Never raises."""
        now = self._clock()
        if self._tried is None or not _within(self._tried, now, KEPT_S):
            try:
                self._state = State(self._read(now))
            except ReadingError as error:
                self._state = State(self._state.reading, str(error))
            # From the end of the attempt, so that a server that keeps us waiting is not asked on
            # and on by all who wait.
            self._tried = self._clock()
        return self._state

    def _read(self, now: dt.datetime) -> Reading:
        try:
            token = self._cluster.token()
        except OSError as error:
            raise ReadingError(
                f"the token at {self._cluster.token_file} cannot be read: {error.strerror}"
            ) from error
        fresh = self._events_at is not None and _within(self._events_at, now, EVENTS_KEPT_S)
        with concurrent.futures.ThreadPoolExecutor(len(LISTS) + 1) as pool:
            pending = {
                name: pool.submit(self._list, path, token, most=MAX_OBJECTS)
                for name, path in LISTS.items()
            }
            told = None if fresh else pool.submit(self._list, EVENTS, token, most=MAX_EVENTS)
        lists = {name: future.result() for name, future in pending.items()}
        for name, found in lists.items():
            if found.left_out:
                raise ReadingError(
                    f"the cluster has more than {MAX_OBJECTS} {name}, which is more than this page "
                    "reads: use kubectl l2lb"
                )
        if told is not None:
            self._events, self._events_at = told.result(), now
        return Reading(
            objects=explained.Objects(
                balancers=lists["balancers"].items,
                services=lists["services"].items,
                nodes=lists["nodes"].items,
                events=self._events.items,
            ),
            at=now,
            events_left_out=self._events.left_out,
        )

    def _list(self, path: str, token: str, *, most: int) -> _List:
        params: dict[str, str | int] = {"limit": PAGE}
        if path == EVENTS:
            params["fieldSelector"] = f"reportingComponent={move.COMPONENT}"
        began = self._clock()
        found: list[Manifest] = []
        while True:
            page = self._get(path, params, token)
            found += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue")
            if not more or len(found) >= most:
                return _List(tuple(found[:most]), left_out=bool(more) or len(found) > most)
            if not _within(began, self._clock(), READING_S):
                raise ReadingError(
                    f"GET {path}: {len(found)} objects came within {READING_S:.0f} s, and not all: "
                    "the API server is slow"
                )
            params["continue"] = more

    def _get(self, path: str, params: Mapping[str, str | int], token: str) -> Manifest:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            with self._client.stream("GET", path, params=params, headers=headers) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ReadingError(
                            f"GET {path}: an answer of more than {MAX_ANSWER_BYTES} bytes"
                        )
            content = msgspec.json.decode(body)
        except httpx.HTTPError as error:
            words = str(error) or type(error).__name__
            raise ReadingError(f"GET {path}: the API server cannot be reached: {words}") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise ReadingError(
                f"GET {path}: the API server's answer of status {response.status_code} is no JSON"
            ) from error
        if not isinstance(content, dict):
            raise ReadingError(f"GET {path}: the API server's answer is no object")
        if response.is_error:
            message = content.get("message") or response.reason_phrase
            raise ReadingError(f"GET {path}: {response.status_code}: {message}")
        return content


def _within(then: dt.datetime, now: dt.datetime, seconds: float) -> bool:
    return 0.0 <= (now - then).total_seconds() < seconds


def _client(cluster: events.Cluster) -> httpx.Client:
    verify: ssl.SSLContext | bool = True
    if cluster.ca_file is not None:
        verify = ssl.create_default_context(cafile=str(cluster.ca_file))
    return httpx.Client(base_url=cluster.url, timeout=TIMEOUT_S, verify=verify, trust_env=False)
