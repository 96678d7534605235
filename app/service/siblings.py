# SPDX-License-Identifier: MIT
"""What the user's Service has by now: its children, and the note that tells what it lacks."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from app import pending
from app.conditions import Verdict
from app.models import kubernetes
from app.service import user
from contract import child, names
from contract import errors as contract_errors

Related = Mapping[str, kubernetes.Service]


@dataclasses.dataclass(frozen=True, slots=True)
class Sibling:
    """A child, and when it was created, in seconds since the epoch."""

    child: child.Child
    created: float


def readable(service: user.UserService, balancer: str, related: Related) -> list[Sibling]:
    """Return the Service's readable children, those of its primary family first."""
    found: list[tuple[tuple[int, int, str], Sibling]] = []
    for owner, manifest in _children(service, related):
        if owner != balancer:
            continue
        try:
            one = Sibling(child.decode(manifest), user.timestamp(manifest["metadata"]))
        except (contract_errors.ContractError, ValueError):
            continue  # the balancer's hook mends or names it
        version = one.child.address.version
        place = service.versions.index(version) if version in service.versions else 2
        found.append(((place, len(one.child.name), one.child.name), one))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def keeper(service: user.UserService, label: str | None, related: Related) -> str | None:
    """Return the balancer whose children the Service has; None where that is not known.

    What its annotations mean is not known either, so only its children tell what a label that was
    wiped said, and without that label its balancer would take it for gone.
    """
    having = balancers(service, related)
    return min(having) if having and label not in having else label


def balancers(service: user.UserService, related: Related) -> set[str]:
    """Return the balancers whose children the Service has."""
    return {balancer for balancer, _ in _children(service, related)} - {""}


def note(service: user.UserService, related: Related) -> Verdict | None:
    """Return what the balancer's hook has noted of the Service, if it has."""
    manifest = related.get(f"{service.namespace}/{pending.name(service.name)}")
    return pending.decode(manifest) if manifest is not None else None


def missing(service: user.UserService, having: Sequence[Sibling], planned: int) -> Verdict:
    """Say that some of the planned children do not appear."""
    there = {one.child.name for one in having}
    names_in_order = (child.child_name(service.name, n) for n in itertools.count(1))
    return pending.absent(
        service.namespace,
        missing=planned - len(having),
        planned=planned,
        such_as=next(name for name in names_in_order if name not in there),
    )


def _children(
    service: user.UserService, related: Related
) -> Iterator[tuple[str, kubernetes.Service]]:
    """Yield what carries the marks of a child of the Service and stays, and whose child it is."""
    for key in sorted(related):
        manifest = related[key]
        metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
        labels = metadata.get("labels") or {}
        if (
            labels.get(names.PROXY_NAME_LABEL) == names.PROXY_NAME
            and labels.get(names.CHILD_SERVICE_UID) == service.uid
            and spec.get("loadBalancerClass") == names.CHILD_CLASS
            and metadata.get("namespace") == service.namespace
            and not metadata.get("deletionTimestamp")
        ):
            yield labels.get(names.CHILD_BALANCER, ""), manifest
