# SPDX-License-Identifier: MIT
"""Taking away what the product left on other people's objects, before it is uninstalled.

The controllers go first, or they would make again what is deleted. Then the children, and from
the users' Services our label and what we wrote into their status; then the Secrets that
`credentials` made.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import pydantic

from app import pending
from app.models import kubernetes
from app.service import answer
from app.upkeep import cluster
from contract import names

ROUND_S: Final = 0.5
# A sync that was under way when its controller was deleted may still create a child.
QUIET_ROUNDS: Final = 4
CONTROLLERS: Final = "/apis/metacontroller.k8s.io/v1alpha1"
SERVICES: Final = "/api/v1/services"
BALANCERS: Final = f"/apis/{names.API_VERSION}/{names.PLURAL}"
_SERVICE: Final = pydantic.TypeAdapter(kubernetes.ServiceWithHistory)


@dataclasses.dataclass(slots=True)
class Done:
    """What was taken away, what stays on purpose, and what could not be taken away."""

    children: int = 0
    services: int = 0
    balancers: list[str] = dataclasses.field(default_factory=list)
    remaining: list[str] = dataclasses.field(default_factory=list)

    def sentences(self) -> Iterator[str]:
        """Yield what to tell."""
        yield f"{self.children} children deleted, {self.services} Services cleaned of our traces"
        if self.balancers:
            yield (
                f"L2LoadBalancers stay as long as their CRD does: {', '.join(self.balancers)}; "
                "'kubectl delete crd l2loadbalancers.l2lb.io' takes them away"
            )
        yield from self.remaining


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic seconds, and waiting."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


SYSTEM: Final = Clock()


def clean_up(
    kube: cluster.Cluster,
    *,
    controllers: str,
    secrets: Sequence[str],
    within_s: float,
    clock: Clock = SYSTEM,
) -> Done:
    """Clean up and return what was done, after about `within_s` at the latest.

    `controllers` is the label selector of this release's controllers, `secrets` the paths of what
    `credentials` made. Raises ClusterError when a controller cannot be deleted: nothing is
    cleaned then, as it would not stay so.
    """
    deadline = clock.now() + within_s
    done = Done()
    for kind in ("compositecontrollers", "decoratorcontrollers"):
        for manifest in _every(kube, f"{CONTROLLERS}/{kind}", controllers):
            kube.delete(f"{CONTROLLERS}/{kind}/{manifest['metadata']['name']}")
    quiet = 0
    while quiet < QUIET_ROUNDS:
        left = _round(kube, done)
        quiet = 0 if left else quiet + 1
        if clock.now() >= deadline:
            done.remaining = left
            break
        clock.sleep(ROUND_S)
    for path in secrets:
        kube.delete(path)
    done.balancers = [balancer["metadata"]["name"] for balancer in _every(kube, BALANCERS)]
    return done


def _every(kube: cluster.Cluster, path: str, selector: str = "") -> list[cluster.Manifest]:
    """Return all objects of a list; none when its CRD is gone already."""
    try:
        return list(kube.every(path, selector))
    except cluster.ClusterError as error:
        if error.absent:
            return []
        raise


def _round(kube: cluster.Cluster, done: Done) -> list[str]:
    """Take away what is there now; return a sentence for each object that has to be seen again."""
    left: list[str] = []
    for manifest in kube.every(SERVICES):
        name = f"{manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
        try:
            if _is_child(manifest):
                left.append(f"child Service {name} is being deleted and not gone yet")
                if not manifest["metadata"].get("deletionTimestamp"):
                    done.children += kube.delete(_path(manifest))
            elif _clean(kube, manifest):
                left.append(f"Service {name} was written again after it was cleaned")
                done.services += 1
        except cluster.ClusterError as error:
            left.append(f"Service {name} is left as it was: {error}")
    return left


def _is_child(manifest: cluster.Manifest) -> bool:
    """Whether a balancer made a Service, be it for an address or as a note that one is missing."""
    metadata = manifest["metadata"]
    if (metadata.get("labels") or {}).get(names.PROXY_NAME_LABEL) == names.PROXY_NAME:
        return True
    # A user may write what makes a note, and is not to lose a Service by it.
    owners = metadata.get("ownerReferences") or ()
    return pending.is_note(manifest) and any(
        (owner["apiVersion"], owner["kind"]) == (names.API_VERSION, names.KIND) for owner in owners
    )


def _clean(kube: cluster.Cluster, manifest: cluster.Manifest) -> bool:
    """Take our traces off a user's Service; return whether there were any."""
    if manifest["metadata"].get("deletionTimestamp"):
        return False
    decision = answer.let_go(_SERVICE.validate_python(manifest))
    if decision.labels:
        version = manifest["metadata"]["resourceVersion"]
        metadata = {"labels": dict(decision.labels), "resourceVersion": version}
        manifest = kube.merge(_path(manifest), {"metadata": metadata})
    if decision.status is not None:
        kube.replace(f"{_path(manifest)}/status", {**manifest, "status": dict(decision.status)})
    return bool(decision.labels) or decision.status is not None


def _path(manifest: cluster.Manifest) -> str:
    metadata = manifest["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}"
