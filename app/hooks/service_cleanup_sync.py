# SPDX-License-Identifier: MIT
"""`/hooks/service-cleanup/sync`: a Service that named a balancer, and does so no more."""

import msgspec

from app import annotations
from app.hooks import call, service_sync
from app.models import hooks, kubernetes
from app.service import answer

REQUEST = msgspec.json.Decoder(hooks.LoneDecoratorSync)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call: our label and what we wrote into the status go."""
    request = hooks.split(REQUEST, body)
    manifest = hooks.needed(kubernetes.SERVICE_WITH_HISTORY, request.object, "object")
    notes = (manifest.get("metadata") or {}).get("annotations") or {}
    if annotations.balancer_of(notes, context.keys) is not None:
        return call.Answer(body={})
    return call.Answer(body=service_sync.content(answer.let_go(manifest)))
