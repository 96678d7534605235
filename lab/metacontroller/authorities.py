# SPDX-License-Identifier: MIT
"""Whose certificates hooks are believed by."""

import base64
import http
import ssl

import httpx

from lab import api
from lab.metacontroller.errors import SyncError
from lab.metacontroller.spec import SecretKey


class Clients:
    """An HTTP client for each authority, and one for hooks that name none.

    An authority is read once, when a controller starts: what changes later
    needs a change of the controller's spec to be seen, as with the real one.
    """

    def __init__(self, server: api.Api) -> None:
        self._server = server
        self._made: dict[str, httpx.AsyncClient] = {}

    async def of(self, authority: SecretKey | None) -> httpx.AsyncClient:
        """Return the client that trusts an authority; raises :class:`SyncError`."""
        trusted = "" if authority is None else await self._read(authority)
        if trusted not in self._made:
            self._made[trusted] = _client(trusted)
        return self._made[trusted]

    async def aclose(self) -> None:
        """Close all connections."""
        for made in self._made.values():
            await made.aclose()

    async def _read(self, wanted: SecretKey) -> str:
        where = f"{wanted.namespace}/{wanted.name}"
        try:
            secret = await self._server.get(
                f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.name}"
            )
        except api.ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise
            raise SyncError(f"the caBundle's Secret {where} does not exist") from error
        encoded = (secret.get("data") or {}).get(wanted.key)
        if not encoded:
            raise SyncError(f"the caBundle's Secret {where} has no key {wanted.key!r}")
        text = base64.b64decode(encoded).decode(errors="replace")
        try:
            ssl.create_default_context(cadata=text)
        except ssl.SSLError as error:
            raise SyncError(
                f"{wanted.key!r} in the caBundle's Secret {where} holds no certificate: {error}"
            ) from error
        return text


def _client(trusted: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=2),
        trust_env=False,
        verify=ssl.create_default_context(cadata=trusted) if trusted else True,
    )
