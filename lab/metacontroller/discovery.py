# SPDX-License-Identifier: MIT
"""Which resources the API server serves, and under which path."""

import http
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab import api
from lab.metacontroller.errors import NotServedError


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object."""

    api_version: str
    plural: str
    kind: str
    namespaced: bool
    has_status: bool

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the path of a collection, of one object, or of a part of one."""
        parts = [root(self.api_version)]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/".join(part for part in (*parts, self.plural, name, subresource) if part)

    def path_of(self, obj: Mapping[str, Any], subresource: str = "") -> str:
        """Return the path of an object of this kind."""
        metadata = obj["metadata"]
        return self.path(metadata.get("namespace") or "", metadata["name"], subresource)


class Discovery:
    """Asks the API server once for each group and version, and again for what was not there."""

    def __init__(self, server: api.Api) -> None:
        self._server = server
        self._known: dict[str, tuple[Resource, ...]] = {}

    async def resource(self, api_version: str, plural: str) -> Resource:
        """Find a resource by the name in its path; raises :class:`NotServedError`."""
        for asking in (False, True):
            for resource in await self._resources(api_version, asking=asking):
                if resource.plural == plural:
                    return resource
        raise NotServedError(f"the API server serves no {plural} in {api_version}")

    async def kind(self, api_version: str, kind: str) -> Resource:
        """Find the resource of a kind; raises :class:`NotServedError`."""
        for asking in (False, True):
            for resource in await self._resources(api_version, asking=asking):
                if resource.kind == kind:
                    return resource
        raise NotServedError(f"the API server serves no kind {kind} in {api_version}")

    async def _resources(self, api_version: str, *, asking: bool) -> tuple[Resource, ...]:
        if asking:
            try:
                listed = await self._server.get(root(api_version))
            except api.ApiError as error:
                if error.status != http.HTTPStatus.NOT_FOUND:
                    raise
            else:
                self._known[api_version] = resources(api_version, listed)
        return self._known.get(api_version, ())


def root(api_version: str) -> str:
    """Return the path below which a group and version is served."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def resources(api_version: str, listed: Mapping[str, Any]) -> tuple[Resource, ...]:
    """Read an APIResourceList; subresources tell what their resource has."""
    entries = {entry["name"]: entry for entry in listed.get("resources") or ()}
    return tuple(
        Resource(
            api_version=api_version,
            plural=name,
            kind=entry["kind"],
            namespaced=bool(entry["namespaced"]),
            has_status=f"{name}/status" in entries,
        )
        for name, entry in entries.items()
        if "/" not in name
    )
