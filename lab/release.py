# SPDX-License-Identifier: MIT
"""The release that a lab starts with, for the commands that run in the lab."""

import json
from typing import Any, Final

from lab import inside

NAME: Final = "l2lb"
NAMESPACE: Final = "l2lb-system"
WEBHOOKS: Final = "app.kubernetes.io/component=webhook"
WEBHOOK_PORT: Final = 8443
SPEAKER_PAGES: Final = "http://127.0.0.1:7472/"  # on each node, for that node


def value(lab: inside.Lab, *keys: str) -> Any:
    """Return a chart value in force, such as that of ``speaker``, ``probe``."""
    text = lab.run(
        None, "helm", "get", "values", NAME, "--all", "-n", NAMESPACE, "-o", "json", within_s=30
    )
    found = json.loads(text)
    for key in keys:
        found = found[key]
    return found


def webhook_pages(lab: inside.Lab, page: str) -> list[str]:
    """Return a page, such as ``metrics``, of each webhook Pod that runs.

    It is asked for by way of the API server.
    """
    pods = lab.items(
        "pods", "-n", NAMESPACE, "-l", WEBHOOKS, "--field-selector=status.phase=Running"
    )
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/https:{{}}:{WEBHOOK_PORT}/proxy/{page}"
    return [lab.kubectl("get", "--raw", path.format(pod["metadata"]["name"])) for pod in pods]
