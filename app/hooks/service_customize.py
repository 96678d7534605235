# SPDX-License-Identifier: MIT
"""`/hooks/service/customize`: a Service's sync must see its children.

Metacontroller asks for every Service of the cluster, ours or not, one after another, and keeps
the answer by UID: so it depends only on what never changes, and takes no time. Of each Service that
changes it then looks up who is to see it, through the answers of all. A child is to see nothing,
and most Services are children; by admission policy the label that says so is nobody else's to set.
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
        metadata = parent.get("metadata") or {}
        namespace, _, uid = user.identity(metadata)
    except errors.ObjectError as error:
        raise errors.MalformedRequestError(f"the parent Service cannot be read: {error}") from None
    if (metadata.get("labels") or {}).get(names.PROXY_NAME_LABEL) == names.PROXY_NAME:
        return call.Answer(body={"relatedResources": []})
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
