# SPDX-License-Identifier: MIT
"""`/hooks/service/customize`: a Service's sync must see its children.

Metacontroller asks for every Service of the cluster, ours or not, one after another, and keeps
the answer by UID: so it depends on namespace and UID alone, and takes no time.
"""

import msgspec

from app import errors
from app.hooks import call
from app.models import hooks, kubernetes
from app.service import user
from contract import names

REQUEST = msgspec.json.Decoder(hooks.Customize)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call."""
    del context
    parent = hooks.needed(kubernetes.NAMED, hooks.split(REQUEST, body).parent, "parent")
    try:
        namespace, _, uid = user.identity(parent.get("metadata") or {})
    except errors.ObjectError as error:
        raise errors.MalformedRequestError(f"the parent Service cannot be read: {error}") from None
    return call.Answer(
        body={
            "relatedResources": [
                {
                    "apiVersion": "v1",
                    "labelSelector": {"matchLabels": {names.CHILD_SERVICE_UID: uid}},
                    "namespace": namespace,
                    "resource": "services",
                }
            ]
        }
    )
