# SPDX-License-Identifier: MIT
"""The API server over lightkube's connection: pages of a list, one watch, one patch.

lightkube finds the server and the credentials and renews them; its own watch loops on a 410 in
the stream, has no read timeout and loses deletions when it lists again, so `watch` has ours.
Objects stay the dictionaries that JSON gives: three kinds are read, and each by one small reader.
"""

import contextlib
import dataclasses
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import httpx2
from lightkube.config import client_adapter, kubeconfig
from lightkube.core import exceptions

from speaker import errors

Manifest = dict[str, Any]

_PAGE: Final = 250  # objects: a page is parsed in a few milliseconds, far below a dead-interval
_USER_AGENT: Final = "l2lb-speaker"  # the audit log and the managed fields name us by it
_TIMEOUT_S: Final = 10.0
_SILENCE_GRACE_S: Final = 10.0
# A watch only reads, and a server that lost its power says nothing: given up 30 s later.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
_MERGE_PATCH: Final = "application/merge-patch+json"
# Of the connection, or of the credentials, which lightkube reads anew now and then: a token file
# that is gone, an exec plug-in that fails or says nonsense.
_FAILURES: Final = (
    *(httpx2.HTTPError, exceptions.ConfigError),
    *(OSError, ValueError, KeyError, TypeError),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """What to list and watch: a path and its selectors."""

    name: str
    path: str
    selectors: Mapping[str, str] = dataclasses.field(default_factory=dict)


class ApiError(errors.SpeakerError):
    """The API server said no, or nothing; `status` is its HTTP status, 0 for nothing."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class MalformedError(ApiError):
    """What the API server sent is not what the API promises."""


class Api:
    """A connection to the API server; every failure is an ApiError.

    `trust_anew` is called when no connection can be made: the authorities may be others by now.
    """

    def __init__(
        self, client: httpx2.AsyncClient, trust_anew: Callable[[], None] = lambda: None
    ) -> None:
        self._client = client
        self._trust_anew = trust_anew

    @classmethod
    def from_environment(cls) -> "Api":
        """Connect as KUBECONFIG says, or as the Pod's ServiceAccount.

        Raises SpeakerError when there is no configuration to be found.
        """
        try:
            config = kubeconfig.KubeConfig.from_env().get()
            if config is None or config.user is None:
                raise errors.SpeakerError("the kubeconfig names no user for its current context")
            trust = client_adapter.verify_cluster(
                config.cluster, config.user, config.abs_file, trust_env=False
            )
        except (exceptions.ConfigError, OSError) as error:
            raise errors.SpeakerError(
                f"no way to reach the API server: {error}; set KUBECONFIG, or run as a Pod with a "
                "ServiceAccount"
            ) from error
        params = client_adapter.ConnectionParams(
            timeout=httpx2.Timeout(_TIMEOUT_S),
            trust_env=False,
            transport=httpx2.AsyncHTTPTransport(  # type: ignore[arg-type]  # which it means too
                verify=trust, socket_options=_KEEPALIVE
            ),
        )
        client = client_adapter.AsyncClient(config, params)
        client.headers["User-Agent"] = _USER_AGENT
        authorities = config.cluster.certificate_auth and config.abs_file(
            config.cluster.certificate_auth
        )

        def trust_anew() -> None:
            # What is said of this connection says it all.
            with contextlib.suppress(OSError):
                trust.load_verify_locations(authorities)

        return cls(client, trust_anew if authorities else lambda: None)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def list(self, resource: Resource) -> tuple[list[Manifest], str]:
        """Return all objects and the resource version to watch from."""
        items: list[Manifest] = []
        token = ""
        while True:
            params = {"limit": str(_PAGE), **resource.selectors}
            if token:
                params["continue"] = token
            page = await self._json("GET", resource.path, params=params)
            try:
                items += map(_lightened, page.get("items") or [])
                token = page["metadata"].get("continue") or ""
                version = page["metadata"]["resourceVersion"]
            except (KeyError, TypeError, AttributeError) as error:
                raise MalformedError(f"GET {resource.path}: not a list: {excerpt(page)}") from error
            if not token:
                return items, version

    async def watch(
        self, resource: Resource, version: str, timeout_s: int
    ) -> AsyncIterator[Manifest]:
        """Yield watch events until the server ends the stream, after `timeout_s` at the latest.

        A stream that is silent for longer than that raises.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(timeout_s),
            **resource.selectors,
        }
        timeout = httpx2.Timeout(_TIMEOUT_S, read=timeout_s + _SILENCE_GRACE_S)
        doing = f"watching {resource.name}"
        try:
            async with self._client.stream(
                "GET", resource.path, params=params, timeout=timeout
            ) as response:
                if response.is_error:
                    await response.aread()
                _raise_for(response, doing)
                async for line in _lines(response):
                    yield _read(line, doing)
        except _FAILURES as error:
            raise self._failure(doing, error) from error

    async def patch_status(self, path: str, patch: Mapping[str, Any]) -> Manifest:
        """Merge a patch into an object's status and return the object."""
        return await self._json(
            "PATCH",
            f"{path}/status",
            content=json.dumps(patch).encode(),
            headers={"Content-Type": _MERGE_PATCH},
        )

    async def create(self, path: str, manifest: Mapping[str, Any]) -> Manifest:
        """Create an object."""
        return await self._json(
            "POST",
            path,
            content=json.dumps(manifest).encode(),
            headers={"Content-Type": "application/json"},
        )

    async def _json(self, method: str, path: str, **arguments: Any) -> Manifest:
        doing = f"{method} {path}"
        try:
            response = await self._client.request(method, path, **arguments)
        except _FAILURES as error:
            raise self._failure(doing, error) from error
        _raise_for(response, doing)
        return _read(response.content, doing)

    def _failure(self, doing: str, error: Exception) -> ApiError:
        if isinstance(error, httpx2.ConnectError):
            self._trust_anew()
        return ApiError(f"{doing}: {_said(error)}")


def excerpt(content: object) -> str:
    """Return the beginning of what was sent, for a sentence."""
    return repr(content)[:200]


async def _lines(response: httpx2.Response) -> AsyncIterator[bytes]:
    """Yield the lines between line feeds: JSON may hold any other line end of Unicode as it is."""
    rest = b""
    async for received in response.aiter_bytes():
        *lines, rest = (rest + received).split(b"\n")
        for line in filter(bytes.strip, lines):
            yield line
    if rest:
        yield rest


def _lightened(item: Manifest) -> Manifest:
    """Leave out who manages which field: two thirds of what ten thousand objects weigh."""
    metadata = item.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return item


def _read(content: bytes, doing: str) -> Manifest:
    try:
        manifest: Manifest = json.loads(content)
    except ValueError as error:
        raise MalformedError(f"{doing}: what came is not JSON: {error}") from error
    return manifest


def _raise_for(response: httpx2.Response, doing: str) -> None:
    if not response.is_error:
        return
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        message = response.text[:200]
    raise ApiError(f"{doing}: {response.status_code}: {message}", response.status_code)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
