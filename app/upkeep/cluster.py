# SPDX-License-Identifier: MIT
"""The few calls to the API server that the Jobs make, one after another."""

import os
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import httpx

from app import errors, events

Manifest = dict[str, Any]

TIMEOUT_S: Final = 10.0
PAGE: Final = 250
_MERGE_PATCH: Final = {"Content-Type": "application/merge-patch+json"}
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class ClusterError(Exception):
    """The API server said no, or nothing; `status` is its HTTP status, 0 for nothing."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def absent(self) -> bool:
        """Whether the object is not there."""
        return self.status == _NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object is there already, or was changed since it was read."""
        return self.status == _CONFLICT


class Cluster:
    """A connection to the API server; every failure is a ClusterError."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    def of_pod(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Connect as the ServiceAccount of this Pod. Raises SettingsError outside of one."""
        found = events.find_cluster("", "", "", environment)
        if found is None:
            raise errors.SettingsError(
                "this is no Pod with a ServiceAccount's token: let the chart's Job run it"
            )
        authority = None if found.ca_file is None else str(found.ca_file)
        client = httpx.Client(
            base_url=found.url,
            headers={"Authorization": f"Bearer {found.token()}"},
            verify=ssl.create_default_context(cafile=authority),
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        return cls(client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def find(self, path: str) -> Manifest | None:
        """Return an object, or None when it is not there."""
        try:
            return self._call("GET", path)
        except ClusterError as error:
            if error.absent:
                return None
            raise

    def every(self, path: str, selector: str = "") -> Iterator[Manifest]:
        """Yield all objects of a list, read a page at a time."""
        params: dict[str, str | int] = {"limit": PAGE}
        if selector:
            params["labelSelector"] = selector
        while True:
            page = self._call("GET", path, params=params)
            yield from page.get("items") or ()
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            params["continue"] = token

    def create(self, path: str, manifest: Mapping[str, Any]) -> Manifest:
        """Create an object."""
        return self._call("POST", path, json=manifest)

    def replace(self, path: str, manifest: Mapping[str, Any]) -> Manifest:
        """Put an object in the place of the one that it was read from."""
        return self._call("PUT", path, json=manifest)

    def merge(self, path: str, patch: Mapping[str, Any]) -> Manifest:
        """Merge a patch into an object; null deletes."""
        return self._call("PATCH", path, json=patch, headers=_MERGE_PATCH)

    def delete(self, path: str) -> bool:
        """Delete an object; return whether it was there."""
        try:
            self._call("DELETE", path)
        except ClusterError as error:
            if error.absent:
                return False
            raise
        return True

    def _call(self, method: str, path: str, **arguments: Any) -> Manifest:
        try:
            response = self._client.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise ClusterError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.is_error:
            raise ClusterError(
                f"{method} {path}: {response.status_code}: {_reason(response)}",
                response.status_code,
            )
        try:
            content: Manifest = response.json()
        except ValueError as error:
            raise ClusterError(f"{method} {path}: {type(error).__name__}: {error}") from error
        return content


def _reason(response: httpx.Response) -> str:
    """Return why; of a kind that is unknown to it, an older API server says it in plain text."""
    try:
        return str(response.json()["message"]) or response.reason_phrase
    except (KeyError, TypeError, ValueError):
        return response.reason_phrase
