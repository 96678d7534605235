# SPDX-License-Identifier: MIT
"""`/hooks/service/sync`: a user's Service and its children in; its label and status out."""

import contextlib
from typing import Any

import msgspec

from app import errors, events
from app.hooks import call
from app.models import hooks, kubernetes
from app.service import answer, user

REQUEST = msgspec.json.Decoder(hooks.DecoratorSync)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call. Raises HookError when the Service cannot be read."""
    request = hooks.split(REQUEST, body)
    if hooks.SERVICES not in request.related:
        raise errors.RefusedError(
            f"related has no {hooks.SERVICES}: the customize hook of l2lb-service asks for it, so "
            "Metacontroller's picture is not complete yet; it will ask again"
        )
    manifest = hooks.needed(kubernetes.SERVICE_WITH_HISTORY, request.object, "object")
    try:
        service = user.read(manifest, context.keys)
    except errors.ObjectError as error:
        raise errors.MalformedRequestError(f"the Service cannot be read: {error}") from None
    related, broken = _readable(request.related[hooks.SERVICES])
    decision = answer.decide(service, manifest, related, now=context.now)
    return call.Answer(
        body=content(decision),
        told=(
            ()
            if decision.told is None
            else (events.about_service(manifest, decision.told, now=context.now),)
        ),
        left_alone={"Service": broken} if broken else {},
    )


def _readable(services: hooks.Objects) -> tuple[dict[str, kubernetes.Service], int]:
    """Return the Services that can be read, and how many cannot."""
    found: dict[str, kubernetes.Service] = {}
    for key, raw in services.items():
        with contextlib.suppress(errors.ObjectError):
            found[key] = hooks.read(kubernetes.SERVICE, bytes(raw))
    return found, len(services) - len(found)


def content(decision: answer.Decision) -> dict[str, Any]:
    """Return a decision as Metacontroller wants it: what is not said stays as it is."""
    body: dict[str, Any] = {}
    if decision.labels:
        body["labels"] = decision.labels
    if decision.resync_after_s:
        body["resyncAfterSeconds"] = decision.resync_after_s
    if decision.status is not None:
        body["status"] = hooks.ordered(decision.status)
    return body
