# SPDX-License-Identifier: MIT
"""A small asyncio client of the Kubernetes API for the lab's own tools.

Objects are plain JSON dictionaries. Paths are the API's own, such as
``/api/v1/namespaces/shop/services/web``, so any resource works, also one of a
CRD that was installed a moment ago.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import logging
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import yaml

Json = dict[str, Any]
Token = str | Callable[[], str] | None
PatchKind = Literal["merge", "json", "apply", "strategic"]
Parameter = str | int | bool

log = logging.getLogger(__name__)

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where a Pod finds who it is

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
WATCH_TIMEOUT_S = 240  # asked of the server; the reference client uses 300-600
WATCH_SILENCE_S = WATCH_TIMEOUT_S + 30.0  # the connection is dead, not idle
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # the last one repeats

CONTENT_TYPES: Mapping[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
    "strategic": "application/strategic-merge-patch+json",
}


class ApiError(Exception):
    """The API server answered with an error.

    ``status`` is the HTTP status, ``reason`` the machine-readable word of the
    API (``NotFound``, ``Conflict``), ``message`` the sentence for people. A
    server that does not answer raises :class:`httpx.TransportError` instead.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @classmethod
    def from_status(cls, status: int, body: Mapping[str, Any]) -> Self:
        """Read a ``Status`` object, as answered and as sent within a watch."""
        return cls(
            int(body.get("code") or status),
            str(body.get("reason") or "Unknown"),
            str(body.get("message") or "the API server gave no message"),
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """All that exists has been yielded; from here on it is changes.

    Comes again after each new list that a lost connection made necessary.
    """

    resource_version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One object appeared, changed or went away; ``object`` is its last known state."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Json


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole of a list at one resource version."""

    items: tuple[Json, ...]
    resource_version: str


class Api:
    """Calls one API server with one identity.

    ``token`` may be a function, asked at each request, so that a refreshed
    token is used. ``ca`` is what the server's certificate is verified against;
    ``None`` means that it is *not verified*, which is fit for a lab on loopback
    and for nothing else. ``transport`` and ``sleep`` are for tests.

    Every method raises :class:`ApiError` for an error answered by the server
    and :class:`httpx.TransportError` for one that did not answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: Token = None,
        ca: Path | ssl.SSLContext | None = None,
        user_agent: str,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._token = token
        self._user_agent = user_agent
        self._sleep = sleep
        verify: ssl.SSLContext | bool = False
        if ca is not None:
            verify = ca if isinstance(ca, ssl.SSLContext) else ssl.create_default_context(cafile=ca)
        self._http = httpx.AsyncClient(
            base_url=base_url,
            verify=verify,
            transport=transport,
            trust_env=False,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # A watch occupies a connection for ever, so a limit would be a deadlock.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=50),
        )

    @classmethod
    def from_kubeconfig(cls, path: Path, *, user_agent: str) -> Self:
        """Connect as the current context of the file says.

        Raises :class:`ValueError` for a file without usable current context or
        with another kind of identity than a token.
        """
        config = yaml.safe_load(path.read_text())
        if not isinstance(config, dict):
            raise ValueError(f"{path} is not a kubeconfig file: it holds no mapping")  # noqa: TRY004 - a file's content, not an argument's type
        context = _entry(path, config, "context", config.get("current-context"))
        cluster = _entry(path, config, "cluster", context.get("cluster"))
        user = _entry(path, config, "user", context.get("user"))
        return cls(
            cluster["server"],
            token=_kubeconfig_token(path, user),
            ca=_kubeconfig_ca(path, cluster),
            user_agent=user_agent,
        )

    @classmethod
    def in_cluster(cls, *, user_agent: str, environment: Mapping[str, str] = os.environ) -> Self:
        """Connect as the ServiceAccount of the Pod that this program runs in.

        Raises :class:`ValueError` outside of a Pod.
        """
        try:
            host, port = (environment[f"KUBERNETES_SERVICE_{name}"] for name in ("HOST", "PORT"))
        except KeyError as error:
            raise ValueError(
                f"this is no Pod, as {error} is not set: name a kubeconfig file"
            ) from None
        return cls(
            f"https://{f'[{host}]' if ':' in host else host}:{port}",
            token=lambda: (ACCOUNT / "token").read_text().strip(),
            ca=ACCOUNT / "ca.crt",
            user_agent=user_agent,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; watches under way end with an error."""
        await self._http.aclose()

    async def get(self, path: str, **params: Parameter) -> Json:
        """Read one object or a list."""
        return await self._call("GET", path, params)

    async def create(self, path: str, body: Json, **params: Parameter) -> Json:
        """Post to a collection, or to a subresource such as ``token``."""
        return await self._call("POST", path, params, body)

    async def update(self, path: str, body: Json, **params: Parameter) -> Json:
        """Replace an object; a ``resourceVersion`` in it guards against conflicts."""
        return await self._call("PUT", path, params, body)

    async def patch(
        self,
        path: str,
        body: Json | list[Json],
        *,
        kind: PatchKind = "merge",
        **params: Parameter,
    ) -> Json:
        """Change an object; for ``apply`` the field manager defaults to the user agent."""
        if kind == "apply":
            params = {"fieldManager": self._user_agent, **params}
        return await self._call("PATCH", path, params, body, CONTENT_TYPES[kind])

    async def delete(self, path: str, *, options: Json | None = None, **params: Parameter) -> Json:
        """Delete; ``params`` such as ``gracePeriodSeconds=0``, ``options`` a DeleteOptions."""
        return await self._call("DELETE", path, params, options)

    async def watch(
        self,
        path: str,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncGenerator[Listed | Event, None]:
        """Yield what exists in a collection, then :class:`Listed`, then changes, for ever.

        A lost connection, an expired version or any error leads to a new list,
        with back-off; what differs from what was yielded before comes as
        events, also a deletion that was missed meanwhile, and an object that
        was replaced by another of its name as a deletion and an addition.
        Errors are logged and never raised. Close the iterator, by
        :func:`contextlib.aclosing`, to end the watch early.
        """
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        params = {key: value for key, value in selectors.items() if value is not None}
        known: dict[tuple[str, str], Json] = {}
        async with contextlib.aclosing(self._reconnects(path, params)) as received:
            async for item in received:
                if isinstance(item, Event):
                    _remember(known, item)
                    yield item
                    continue
                for event in differences(known.values(), item.items):
                    _remember(known, event)
                    yield event
                yield Listed(item.resource_version)

    async def _reconnects(
        self, path: str, params: Mapping[str, str]
    ) -> AsyncGenerator[Snapshot | Event, None]:
        """List and watch, and again after each failure; an ended watch is resumed."""
        failures = 0
        while True:
            try:
                listed = await self.get(path, **params)
                snapshot = _snapshot(listed)
                yield snapshot
                version = snapshot.resource_version
                while True:
                    failures = 0
                    async with contextlib.aclosing(self._stream(path, params, version)) as stream:
                        async for kind, body in stream:
                            version = body["metadata"]["resourceVersion"]
                            if kind in ("ADDED", "MODIFIED", "DELETED"):
                                yield Event(kind, body)
                    # A server that ends each watch at once must not be asked in a hot loop.
                    await self._sleep(BACKOFF_S[0])
            except (ApiError, httpx.TransportError, httpx.DecodingError, ValueError) as error:
                pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                log.info("watch of %s broke, listing again in %s s: %r", path, pause, error)
                await self._sleep(pause)

    async def _stream(
        self, path: str, params: Mapping[str, str], version: str
    ) -> AsyncGenerator[tuple[Any, Json], None]:
        """One watch connection's lines, as (type, object); an error line is raised."""
        query = {
            **params,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_TIMEOUT_S),
        }
        timeout = httpx.Timeout(WATCH_SILENCE_S, connect=CONNECT_TIMEOUT_S)
        async with self._http.stream(
            "GET", path, params=query, headers=self._headers(), timeout=timeout
        ) as answer:
            if answer.is_error:
                await answer.aread()
                raise _error(answer)
            async for line in _lines(answer):
                message = json.loads(line)
                if message["type"] == "ERROR":
                    raise ApiError.from_status(500, message["object"])
                yield message["type"], message["object"]

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Parameter],
        body: Json | list[Json] | None = None,
        content_type: str = "application/json",
    ) -> Json:
        headers = self._headers()
        content = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = json.dumps(body).encode()
        answer = await self._http.request(
            method, path, params=dict(params), content=content, headers=headers
        )
        if answer.is_error:
            raise _error(answer)
        found: Json = answer.json()
        return found

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent}
        token = self._token() if callable(self._token) else self._token
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return headers


def differences(before: Iterable[Json], now: Iterable[Json]) -> tuple[Event, ...]:
    """Return the events that lead from one list of a collection to a later one.

    Deletions come first, so that a name that now means another object is free.
    """
    old = {item["metadata"]["uid"]: item for item in before}
    new = {item["metadata"]["uid"]: item for item in now}
    gone = (Event("DELETED", item) for uid, item in old.items() if uid not in new)
    added = (Event("ADDED", item) for uid, item in new.items() if uid not in old)
    changed = (
        Event("MODIFIED", item)
        for uid, item in new.items()
        if uid in old
        and item["metadata"]["resourceVersion"] != old[uid]["metadata"]["resourceVersion"]
    )
    return tuple(itertools.chain(gone, added, changed))


def _remember(known: dict[tuple[str, str], Json], event: Event) -> None:
    metadata = event.object["metadata"]
    key = (metadata.get("namespace", ""), metadata["name"])
    if event.type == "DELETED":
        known.pop(key, None)
    else:
        known[key] = event.object


def _snapshot(listed: Json) -> Snapshot:
    """Read a list; its items get the kind that the API leaves out of them."""
    kind = {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
    items = tuple({**kind, **item} for item in listed.get("items") or ())
    return Snapshot(items, listed["metadata"]["resourceVersion"])


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the lines between line feeds: JSON may hold any other line end of Unicode as it is."""
    rest = b""
    async for received in answer.aiter_bytes():
        *lines, rest = (rest + received).split(b"\n")
        for line in filter(bytes.strip, lines):
            yield line
    if rest:
        yield rest


def _error(answer: httpx.Response) -> ApiError:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"message": answer.text.strip()[:500], "reason": answer.reason_phrase}
    return ApiError.from_status(answer.status_code, body)


def _entry(path: Path, config: Json, kind: str, name: str | None) -> Json:
    for entry in config.get(f"{kind}s") or ():
        if entry["name"] == name:
            found: Json = entry[kind]
            return found
    raise ValueError(f"{path} names the {kind} {name!r}, which is not among its {kind}s")


def _kubeconfig_token(path: Path, user: Json) -> Token:
    if "token" in user:
        return str(user["token"])
    if "tokenFile" in user:
        file = path.parent / user["tokenFile"]
        return lambda: file.read_text().strip()
    raise ValueError(
        f"{path} has a user with {sorted(user)} and no token: give it a token or a tokenFile"
    )


def _kubeconfig_ca(path: Path, cluster: Json) -> Path | ssl.SSLContext | None:
    if "certificate-authority-data" in cluster:
        pem = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return ssl.create_default_context(cadata=pem)
    if "certificate-authority" in cluster:
        return path.parent / str(cluster["certificate-authority"])
    if cluster.get("insecure-skip-tls-verify") or cluster["server"].startswith("http:"):
        return None
    raise ValueError(f"{path} names no certificate authority for {cluster['server']}: add one")
