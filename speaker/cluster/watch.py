# SPDX-License-Identifier: MIT
"""Following one kind of object for ever: a list, then a stream and its reconnects.

Faults of the API server, and what it sends that is not as the API promises, never end `follow`;
they are told to `report` and waited out.
"""

import asyncio
import dataclasses
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Protocol

from speaker.cluster import api

Key = tuple[str, str]  # namespace (empty for cluster-scoped objects) and name

TIMEOUT_S: Final = (240, 300)  # how long the server may keep a watch open
BACKOFF_S: Final = (0.1, 10.0)
_GONE: Final = 410
_JITTER: Final = random.SystemRandom()


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The list is complete: what is not in it does not exist."""

    objects: Mapping[Key, api.Manifest]


@dataclasses.dataclass(frozen=True, slots=True)
class Changed:
    """An object was created or changed."""

    key: Key
    manifest: api.Manifest


@dataclasses.dataclass(frozen=True, slots=True)
class Deleted:
    """An object was deleted."""

    key: Key


Event = Snapshot | Changed | Deleted


class Source(Protocol):
    """The part of `api.Api` that a watch needs; tests put faults here."""

    async def list(self, resource: api.Resource) -> tuple[list[api.Manifest], str]:
        """Return all objects and the resource version to watch from."""

    def watch(
        self, resource: api.Resource, version: str, timeout_s: int
    ) -> AsyncIterator[api.Manifest]:
        """Yield watch events until the server ends the stream."""


Report = Callable[[api.Resource, api.ApiError | None], None]
"""Told of every fault, and of every sign of life (None)."""


async def follow(source: Source, resource: api.Resource, report: Report) -> AsyncIterator[Event]:
    """Yield a Snapshot, then what changes, for ever; resume where the last stream ended.

    A new Snapshot follows whenever the history was lost or could not be read.
    """
    version: str | None = None
    faults = 0
    while True:
        try:
            if version is None:
                snapshot, version = await _list(source, resource)
                report(resource, None)
                yield snapshot
            async for event, seen in _stream(source, resource, version):
                version = seen
                faults = 0
                report(resource, None)
                if event is not None:
                    yield event
        except api.ApiError as error:
            report(resource, error)
            if error.status == _GONE or isinstance(error, api.MalformedError):
                version = None
            faults += 1
        # A server that ends streams at once gets no more of them than one that fails.
        least_s, most_s = BACKOFF_S
        ceiling_s = min(most_s, least_s * 2.0 ** min(faults, 10))
        await asyncio.sleep(_JITTER.uniform(ceiling_s / 2, ceiling_s))


async def _list(source: Source, resource: api.Resource) -> tuple[Snapshot, str]:
    """Return all objects and the version to watch from."""
    manifests, version = await source.list(resource)
    try:
        return Snapshot({key_of(manifest): manifest for manifest in manifests}), version
    except (KeyError, TypeError, AttributeError) as error:
        raise api.MalformedError(
            f"listing {resource.name}: an object without metadata.name"
        ) from error


async def _stream(
    source: Source, resource: api.Resource, version: str
) -> AsyncIterator[tuple[Event | None, str]]:
    """Yield one connection's events, None for a bookmark, each with the version to resume from."""
    async for message in source.watch(resource, version, _JITTER.randint(*TIMEOUT_S)):
        try:
            if message["type"] == "ERROR":
                raise api.ApiError(
                    f"watching {resource.name}: {message['object'].get('message')}",
                    int(message["object"].get("code") or 0),
                )
            seen = message["object"]["metadata"]["resourceVersion"]
            event = _event(message)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise api.MalformedError(
                f"watching {resource.name}: malformed event {api.excerpt(message)}"
            ) from error
        yield event, seen


def _event(message: api.Manifest) -> Event | None:
    manifest = message["object"]
    match message["type"]:
        case "DELETED":
            return Deleted(key_of(manifest))
        case "ADDED" | "MODIFIED":
            return Changed(key_of(manifest), manifest)
        case _:
            return None


def key_of(manifest: api.Manifest) -> Key:
    """Return the object's namespace and name."""
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
