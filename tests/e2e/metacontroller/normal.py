# SPDX-License-Identifier: MIT
"""What was noted in one step of a scenario, without what differs from run to run.

UIDs become the names of their objects; versions, times and addresses that the
API server chose become words. How often a hook was called, and in which order
two objects were written, is a matter of timing and is left out: a step keeps
the last request for each object, the failures before it, and what was written
to each object, in order.
"""

import json
import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from lab.api import Json
from lab.metacontroller import merge, objects
from tests.e2e.metacontroller.recorder import Call, Write

ANY = {
    "resourceVersion": "<version>",
    "creationTimestamp": "<time>",
    "deletionTimestamp": "<time>",
    "clusterIP": "<address>",
    "clusterIPs": "<addresses>",
    "nodePort": "<port>",
    "healthCheckNodePort": "<port>",
}
UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Names:
    """Names for the UIDs of one scenario."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, noted: Iterable[Call | Write]) -> None:
        """Take in the identity of every object that has been seen."""
        for note in noted:
            for found in _objects(note.request if isinstance(note, Call) else note.body):
                name = f"<uid of {found['kind']} {objects.key(found)}>"
                self._names.setdefault(found["metadata"]["uid"], name)

    def applied(self, value: Any) -> Any:
        """Return ``value`` with all that varies replaced."""
        text = UID.sub(lambda match: self._names.get(match[0], match[0]), json.dumps(value))
        return _plain(json.loads(text))


def step(did: str, noted: list[Call | Write], names: Names) -> Json:
    """Return the trace of one step, ready to be compared or stored as JSON."""
    names.learn(noted)
    asked: Json = {}
    writes: Json = {}
    created = {_path(note) for note in noted if isinstance(note, Write) and _is_create(note)}
    for note in noted:
        if isinstance(note, Call):
            parent = note.request.get("parent") or note.request["object"]
            entry = asked.setdefault(note.hook, {}).setdefault(objects.key(parent), {"failed": []})
            if note.reply.status != HTTPStatus.OK:
                entry["failed"].append(note.reply.status)
            entry["answer"] = _text(note.reply.body)
            if not note.hook.endswith("/customize"):
                entry["request"] = _request(note.request)
        elif note.reason != "Conflict":
            path = _path(note)
            # A sync from a cache that has not seen the new child yet; whether there is one is luck.
            if note.reason == "AlreadyExists" and path in created:
                continue
            line = {"verb": note.verb, "body": note.body, "status": note.status}
            _append(writes.setdefault(path, []), names.applied(line))
    return {"did": did, "asked": names.applied(asked), "writes": writes}


def _append(lines: list[Json], line: Json) -> None:
    """Add a line unless it repeats the last one, as the writes of a failing sync do."""
    if not lines or lines[-1] != line:
        lines.append(line)


def _is_create(write: Write) -> bool:
    return write.verb == "POST" and write.status == HTTPStatus.CREATED


def _path(write: Write) -> str:
    """Return the path of the object that is written, also of one that is created."""
    return write.path if write.verb != "POST" else f"{write.path}/{write.body['metadata']['name']}"


def _request(request: Json) -> Json:
    """Leave of the controller, whose whole object is in each request, the name.

    Of a balancer the status is left out: as its changes are ignored, no sync
    follows them, and how old the one in the request is depends on luck.
    """
    request = {**request, "controller": request["controller"]["metadata"]["name"]}
    if "parent" in request:
        parent = request["parent"]
        request["parent"] = {key: value for key, value in parent.items() if key != "status"}
    return request


def _text(body: Any) -> Any:
    return body.decode() if isinstance(body, bytes) else body


def _objects(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        metadata = value.get("metadata")
        if "kind" in value and isinstance(metadata, dict) and "uid" in metadata:
            yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    plain = {}
    for key, inner in value.items():
        if key == "managedFields":
            continue
        if key == merge.LAST_APPLIED:
            plain[key] = _plain(json.loads(inner))
        else:
            plain[key] = ANY.get(key) or _plain(inner)
    return plain
