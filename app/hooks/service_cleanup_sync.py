# SPDX-License-Identifier: MIT
"""`/hooks/service-cleanup/sync`: a Service that named a balancer, and does so no more."""

import pydantic

from app import annotations
from app.hooks import call, service_sync
from app.models import hooks
from app.service import answer

REQUEST = pydantic.TypeAdapter(hooks.CleanupSyncRequest)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call: our label and what we wrote into the status go."""
    manifest = hooks.parse(REQUEST, body)["object"]
    metadata = manifest.get("metadata") or {}
    named = annotations.balancer_of(metadata.get("annotations") or {}, context.keys)
    if named is not None or metadata.get("deletionTimestamp"):
        return call.Answer(body={})
    return call.Answer(body=service_sync.content(answer.let_go(manifest)))
