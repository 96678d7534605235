# SPDX-License-Identifier: MIT
"""A parent's children: claimed, created, updated in place, deleted."""

import copy
import http
import logging
from collections.abc import Awaitable, Iterable

from lab import api
from lab.api import Json
from lab.metacontroller import merge, objects, writes
from lab.metacontroller.discovery import Discovery, Resource
from lab.metacontroller.errors import SyncError
from lab.metacontroller.informers import Informer
from lab.metacontroller.related import Groups

log = logging.getLogger(__name__)

# The generated selector of each parent: its children carry its UID here.
PARENT_LABEL = "controller-uid"


async def claim(
    server: api.Api, parents: Resource, parent: Json, candidates: Iterable[Informer]
) -> Groups:
    """Return the children of ``parent``, by the name of their kind and their key.

    An object without controller that carries the parent's UID as label is
    adopted, whoever labelled it; a child that lost the label is let go.
    Raises :class:`SyncError` if any of that fails, after trying all.
    """
    groups: Groups = {}
    failures: list[str] = []
    for informer in candidates:
        group = groups.setdefault(f"{informer.resource.kind}.{informer.resource.api_version}", {})
        uid = objects.uid(parent)
        for obj in (*informer.owned_by(uid), *informer.owned_by(None)):
            try:
                if await _is_claimed(server, parents, parent, informer.resource, obj):
                    group[objects.key(obj)] = obj
            except (api.ApiError, SyncError) as error:
                failures.append(f"{objects.key(obj)}: {error}")
    if failures:
        raise SyncError(f"can't claim children: {'; '.join(failures)}")
    return groups


async def _is_claimed(
    server: api.Api, parents: Resource, parent: Json, resource: Resource, obj: Json
) -> bool:
    is_labelled = objects.labels(obj).get(PARENT_LABEL) == objects.uid(parent)
    is_owned = objects.controller_of(obj) is not None
    if is_owned == is_labelled:
        return is_owned
    if objects.is_deleting(parent) or (is_labelled and objects.is_deleting(obj)):
        return False
    if is_labelled:
        await _check_alive(server, parents, parent)
    try:
        await writes.change(
            server, resource, obj, lambda live: _set_owner(live, parent, is_owner=is_labelled)
        )
    except api.ApiError as error:
        if error.status != http.HTTPStatus.NOT_FOUND:
            raise
        return False
    return is_labelled


async def _check_alive(server: api.Api, parents: Resource, parent: Json) -> None:
    live = await server.get(parents.path_of(parent))
    if objects.uid(live) != objects.uid(parent) or objects.is_deleting(live):
        raise SyncError(f"can't adopt for {objects.key(parent)}, which is gone or being deleted")


def _set_owner(obj: Json, parent: Json, *, is_owner: bool) -> bool:
    others = [
        reference
        for reference in obj["metadata"].get("ownerReferences") or ()
        if reference["uid"] != objects.uid(parent)
    ]
    own = [objects.owner_reference(parent)] if is_owner else []
    obj["metadata"]["ownerReferences"] = others + own
    return True


def desired(parent: Json, wanted: Iterable[Json]) -> Groups:
    """Return the wanted children by kind and key, with what ties them to their parent.

    Raises :class:`SyncError` for a child with another parent's label.
    """
    groups: Groups = {}
    for wanted_one in wanted:
        child = {**wanted_one, "metadata": dict(wanted_one["metadata"])}
        if not objects.namespace(child) and objects.namespace(parent):
            child["metadata"]["namespace"] = objects.namespace(parent)
        labels = {PARENT_LABEL: objects.uid(parent)} | objects.labels(child)
        if labels[PARENT_LABEL] != objects.uid(parent):
            raise SyncError(
                f"labels on desired child {child['kind']} {objects.key(child)} "
                "don't match parent selector"
            )
        child["metadata"]["labels"] = labels
        groups.setdefault(objects.group(child), {})[objects.key(child)] = child
    return groups


async def manage(
    server: api.Api, discovery: Discovery, parent: Json, observed: Groups, wanted: Groups
) -> None:
    """Make the children what they should be; raises :class:`SyncError` after trying all."""
    failures: list[str] = []
    for group, existing in observed.items():
        for key, child in existing.items():
            if key not in wanted.get(group, {}) and not objects.is_deleting(child):
                await _try(_delete(server, discovery, child), child, failures)
    for group, children in wanted.items():
        for key, child in children.items():
            before = observed.get(group, {}).get(key)
            if before is None:
                await _try(_create(server, discovery, parent, child), child, failures)
            else:
                await _try(_update(server, discovery, before, child), child, failures)
    if failures:
        raise SyncError("; ".join(failures))


async def _try(step: Awaitable[None], child: Json, failures: list[str]) -> None:
    try:
        await step
    except (api.ApiError, SyncError) as error:
        failures.append(f"{child['kind']} {objects.key(child)}: {error}")


async def _delete(server: api.Api, discovery: Discovery, child: Json) -> None:
    resource = await discovery.kind(child["apiVersion"], child["kind"])
    log.info("deleting %s %s", child["kind"], objects.key(child))
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": objects.uid(child)},
        "propagationPolicy": "Background",
    }
    try:
        await server.delete(resource.path_of(child), options=options)
    except api.ApiError as error:
        if error.status != http.HTTPStatus.NOT_FOUND:
            raise


async def _create(server: api.Api, discovery: Discovery, parent: Json, child: Json) -> None:
    resource = await discovery.kind(child["apiVersion"], child["kind"])
    log.info("creating %s %s", child["kind"], objects.key(child))
    created = copy.deepcopy(child)
    merge.remember(created, child)
    created["metadata"].setdefault("ownerReferences", []).append(objects.owner_reference(parent))
    try:
        await server.create(resource.path(objects.namespace(child)), created)
    except api.ApiError as error:
        # A name that somebody else has is no failure: nothing is said, nothing is tried again.
        if error.reason != "AlreadyExists":
            raise
        log.info("%s %s exists and is not ours", child["kind"], objects.key(child))


async def _update(server: api.Api, discovery: Discovery, before: Json, child: Json) -> None:
    try:
        after = merge.update(before, child)
    except ValueError as error:
        raise SyncError(f"can't merge: {error}") from error
    if merge.same(before, after) or objects.is_deleting(before):
        return
    resource = await discovery.kind(child["apiVersion"], child["kind"])
    log.info(
        "updating %s %s: %s",
        child["kind"],
        objects.key(child),
        ", ".join(merge.changed_fields(before, after)),
    )
    try:
        await server.update(resource.path_of(before), after)
    except api.ApiError as error:
        # The change that came between is an event, and so another sync.
        if error.status != http.HTTPStatus.NOT_FOUND and not writes.is_conflict(error):
            raise
