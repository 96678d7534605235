# SPDX-License-Identifier: MIT
"""Following one kind of object for ever: a raw stream, its reconnects, and typed events.

Three functions, each with one job, innermost first. Faults of the API server never end the
outermost; they are told to `report` and waited out.
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
    """Yield a Snapshot, then what changes; a new Snapshot whenever the history was lost."""
    async for raw in _reconnecting(source, resource, report):
        if isinstance(raw, list):
            yield Snapshot({key_of(manifest): manifest for manifest in raw})
            continue
        manifest = raw["object"]
        if raw["type"] == "DELETED":
            yield Deleted(key_of(manifest))
        elif raw["type"] in {"ADDED", "MODIFIED"}:
            yield Changed(key_of(manifest), manifest)


async def _reconnecting(
    source: Source, resource: api.Resource, report: Report
) -> AsyncIterator[list[api.Manifest] | api.Manifest]:
    """Yield lists and watch events for ever, resuming where the last stream ended."""
    version: str | None = None
    faults = 0
    while True:
        try:
            if version is None:
                objects, version = await source.list(resource)
                report(resource, None)
                yield objects
            async for event, seen in _stream(source, resource, version):
                version = seen
                faults = 0
                report(resource, None)
                yield event
        except api.ApiError as error:
            report(resource, error)
            if error.status == _GONE:
                version = None
            faults += 1
        # A server that ends streams at once gets no more of them than one that fails.
        least_s, most_s = BACKOFF_S
        ceiling_s = min(most_s, least_s * 2.0 ** min(faults, 10))
        await asyncio.sleep(_JITTER.uniform(ceiling_s / 2, ceiling_s))


async def _stream(
    source: Source, resource: api.Resource, version: str
) -> AsyncIterator[tuple[api.Manifest, str]]:
    """Yield one connection's events, each with the version to resume from."""
    async for event in source.watch(resource, version, _JITTER.randint(*TIMEOUT_S)):
        try:
            manifest = event["object"]
            if event["type"] == "ERROR":
                raise api.ApiError(
                    f"watching {resource.name}: {manifest.get('message')}",
                    int(manifest.get("code") or 0),
                )
            version = manifest["metadata"]["resourceVersion"]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise api.ApiError(f"watching {resource.name}: malformed event {event!r}") from error
        yield event, version


def key_of(manifest: api.Manifest) -> Key:
    """Return the object's namespace and name."""
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
