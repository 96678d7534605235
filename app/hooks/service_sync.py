# SPDX-License-Identifier: MIT
"""`/hooks/service/sync`: a user's Service and its children in; its label and status out."""

from typing import Any

import pydantic

from app import errors, events
from app.hooks import call
from app.models import hooks, kubernetes
from app.service import answer, user

REQUEST = pydantic.TypeAdapter(hooks.ServiceSyncRequest)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call. Raises HookError when the Service cannot be read."""
    request = hooks.parse(REQUEST, body)
    related = request["related"].get(hooks.SERVICES)
    if related is None:
        raise errors.RefusedError(
            f"related has no {hooks.SERVICES}: the customize hook of l2lb-service asks for it, so "
            "Metacontroller's picture is not complete yet; it will ask again"
        )
    manifest = request["object"]
    try:
        service = user.read(manifest, context.keys)
    except errors.ObjectError as error:
        raise errors.MalformedRequestError(f"the Service cannot be read: {error}") from None
    decision = answer.decide(service, manifest, related, now=context.now)
    broken = sum(isinstance(one, kubernetes.Broken) for one in related.values())
    return call.Answer(
        body=content(decision),
        told=(
            ()
            if decision.told is None
            else (events.about_service(manifest, decision.told, now=context.now),)
        ),
        left_alone={"Service": broken} if broken else {},
    )


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
