# SPDX-License-Identifier: MIT
"""The note that the balancer's hook leaves for the Service's: why an address is missing.

Only the balancer's sync knows why a Service gets no address, or fewer than it asks for, and only
the Service's sync may write the Service's status. What passes between them is a child as well: a
Service without cluster IP, ports or selector, named like the child with the ordinal 0, which no
address ever has. It exists for as long as something is missing. It carries neither the label that
speakers watch nor the class of a child, so nothing but the two hooks looks at it. The balancer's
status would be the other place; but then each change of it would ask for a sync of every Service.
"""

from collections.abc import Mapping
from typing import Any, Final

from app import conditions
from contract import child, names

REASON: Final = f"{names.GROUP}/reason"
MESSAGE: Final = f"{names.GROUP}/message"
_ORDINAL: Final = 0


def name(service: str) -> str:
    """Return the name of the note about a Service."""
    return child.child_name(service, _ORDINAL)


def absent(namespace: str, *, missing: int, planned: int, such_as: str) -> conditions.Verdict:
    """Say that children do not appear; both hooks say it alike."""
    return conditions.Verdict(
        holds=False,
        reason=names.AssignedReason.CHILD_MISSING,
        message=(
            f"{missing} of {planned} child Services do not appear (such as {such_as}): a Service "
            f"of that name is in the way, or a quota of namespace {namespace} forbids one more; "
            "remove the one or raise the other"
        ),
    )


def encode(
    verdict: conditions.Verdict, *, namespace: str, service: str, service_uid: str
) -> dict[str, Any]:
    """Return the manifest."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": {
                MESSAGE: verdict.message,
                REASON: verdict.reason,
                names.CHILD_SERVICE: service,
            },
            "labels": {names.CHILD_SERVICE_UID: service_uid},
            "name": name(service),
            "namespace": namespace,
        },
        "spec": {"clusterIP": "None", "type": "ClusterIP"},
    }


def is_note(manifest: Mapping[str, Any]) -> bool:
    """Whether a Service is such a note."""
    metadata = manifest.get("metadata") or {}
    notes, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    return (
        REASON in notes
        and names.CHILD_SERVICE_UID in labels
        and names.PROXY_NAME_LABEL not in labels
    )


def decode(manifest: Mapping[str, Any]) -> conditions.Verdict | None:
    """Return what the note says; None when it is none, or says a word of a newer release."""
    if not is_note(manifest):
        return None
    notes = manifest["metadata"]["annotations"]
    try:
        reason = names.AssignedReason(notes[REASON])
    except ValueError:
        return None
    return conditions.Verdict(holds=False, reason=reason, message=notes.get(MESSAGE, ""))
