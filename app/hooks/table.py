# SPDX-License-Identifier: MIT
"""All hooks: where they are, what answers, and how the API documentation describes them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import pydantic

from app.hooks import (
    balancer_customize,
    balancer_sync,
    call,
    service_cleanup_sync,
    service_customize,
    service_sync,
)
from app.models import examples, hooks


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """One hook; `name` is how metrics and logs call it.

    `request`, `answer` and `example` are for the API document.
    """

    path: str
    name: str
    summary: str
    respond: Callable[[bytes, call.Call], call.Answer]
    request: pydantic.TypeAdapter[Any]
    answer: type[pydantic.BaseModel]
    example: dict[str, Any]


HOOKS: Final = (
    Hook(
        "/hooks/balancer/sync",
        "balancer_sync",
        "Every child Service of a balancer, and its status",
        balancer_sync.respond,
        pydantic.TypeAdapter(hooks.BalancerSyncRequest),
        hooks.BalancerSyncAnswer,
        examples.BALANCER_SYNC,
    ),
    Hook(
        "/hooks/balancer/customize",
        "balancer_customize",
        "Which other objects a balancer's sync must see",
        balancer_customize.respond,
        pydantic.TypeAdapter(hooks.CustomizeBalancerRequest),
        hooks.CustomizeAnswer,
        examples.BALANCER_CUSTOMIZE,
    ),
    Hook(
        "/hooks/service/sync",
        "service_sync",
        "Label and status of a Service that names a balancer",
        service_sync.respond,
        pydantic.TypeAdapter(hooks.ServiceSyncRequest),
        hooks.ServiceSyncAnswer,
        examples.SERVICE_SYNC,
    ),
    Hook(
        "/hooks/service/customize",
        "service_customize",
        "Which other objects a Service's sync must see",
        service_customize.respond,
        pydantic.TypeAdapter(hooks.CustomizeServiceRequest),
        hooks.CustomizeAnswer,
        examples.SERVICE_CUSTOMIZE,
    ),
    Hook(
        "/hooks/service-cleanup/sync",
        "service_cleanup_sync",
        "Clears label and status of a Service that names a balancer no more",
        service_cleanup_sync.respond,
        pydantic.TypeAdapter(hooks.CleanupSyncRequest),
        hooks.ServiceSyncAnswer,
        examples.SERVICE_CLEANUP_SYNC,
    ),
)
