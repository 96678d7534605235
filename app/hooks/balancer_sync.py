# SPDX-License-Identifier: MIT
"""`/hooks/balancer/sync`: a balancer, its nodes and Services in; its children and status out."""

from collections import Counter
from typing import Any

import msgspec

from app.balancer import answer, picture
from app.hooks import call
from app.models import hooks

REQUEST = msgspec.json.Decoder(hooks.CompositeSync)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call. Raises HookError instead of answering from half of the picture."""
    seen = picture.read(hooks.split(REQUEST, body), context.keys)
    decision = answer.decide(seen, now=context.now)
    content: dict[str, Any] = {"children": decision.children, "status": decision.status}
    if decision.resync_after_s:
        content["resyncAfterSeconds"] = decision.resync_after_s
    return call.Answer(
        body=content,
        told=decision.told,
        left_alone=Counter(one.kind for one in decision.left_alone),
    )
