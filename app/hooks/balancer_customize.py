# SPDX-License-Identifier: MIT
"""`/hooks/balancer/customize`: what a balancer's sync must see."""

import msgspec

from app import errors
from app.balancer import spec
from app.hooks import call
from app.models import hooks, kubernetes
from contract import names

REQUEST = msgspec.json.Decoder(hooks.Customize)


def respond(body: bytes, context: call.Call) -> call.Answer:
    """Answer one call: Services by their label, Nodes by the selector, Namespaces, balancers.

    Metacontroller asks once a generation of the balancer.
    """
    del context
    parent = hooks.split(REQUEST, body).parent
    try:
        balancer = spec.read(hooks.needed(kubernetes.BALANCER, parent, "parent"))
    except errors.ObjectError as error:
        raise errors.RefusedError(f"the parent L2LoadBalancer cannot be read: {error}") from None
    return call.Answer(
        body={
            "relatedResources": [
                {
                    "apiVersion": "v1",
                    "labelSelector": {"matchLabels": {names.SERVICE_BALANCER: balancer.name}},
                    "resource": "services",
                },
                {
                    "apiVersion": "v1",
                    "labelSelector": {"matchLabels": dict(sorted(balancer.node_selector.items()))},
                    "resource": "nodes",
                },
                {"apiVersion": "v1", "resource": "namespaces"},
                {"apiVersion": names.API_VERSION, "resource": names.PLURAL},
            ]
        }
    )
