# SPDX-License-Identifier: MIT
"""`/hooks/service/customize`: a Service's sync must see its children.

Metacontroller asks for every Service of the cluster, ours or not, one after another, and keeps
the answer by UID: so it depends on namespace and UID alone, and takes no time.
"""

import pydantic

from app import errors
from app.hooks import call
from app.models import hooks
from app.service import user
from contract import names

REQUEST = pydantic.TypeAdapter(hooks.CustomizeServiceRequest)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call."""
    del context
    metadata = hooks.parse(REQUEST, body)["parent"].get("metadata") or {}
    try:
        namespace, _, uid = user.identity(metadata)
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
