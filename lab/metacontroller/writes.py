# SPDX-License-Identifier: MIT
"""Writes to the API server that look first."""

import copy
import http
from collections.abc import Callable

from lab import api
from lab.api import Json
from lab.metacontroller import objects
from lab.metacontroller.discovery import Resource

ATTEMPTS = 4


async def change(
    server: api.Api,
    resource: Resource,
    obj: Json,
    step: Callable[[Json], bool],
    *,
    subresource: str = "",
) -> Json:
    """Read ``obj`` afresh, let ``step`` change it, and write it if that returns true.

    Repeats after a conflict. Raises :class:`lab.api.ApiError`, NotFound also when
    the name now means another object.
    """
    for attempt in range(ATTEMPTS):
        live = await server.get(resource.path_of(obj))
        if objects.uid(live) != objects.uid(obj):
            raise api.ApiError(
                http.HTTPStatus.NOT_FOUND, "NotFound", f"{objects.key(obj)} is another object now"
            )
        changed = copy.deepcopy(live)
        if not step(changed):
            return live
        try:
            return await server.update(resource.path_of(obj, subresource), changed)
        except api.ApiError as error:
            if not is_conflict(error) or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the loop returns or raises")


def is_conflict(error: api.ApiError) -> bool:
    """Whether a write was refused because the object has changed meanwhile."""
    return error.status == http.HTTPStatus.CONFLICT and error.reason == "Conflict"
