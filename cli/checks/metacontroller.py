# SPDX-License-Identifier: MIT
"""Metacontroller: whether it runs, is fast enough, and knows our controllers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cli.checks import finding

SUBJECT: Final = "Metacontroller"
LEAST_QPS: Final = 150
LEAST_BURST: Final = 300
COMPOSITES: Final = ("l2lb-balancer",)
DECORATORS: Final = ("l2lb-service", "l2lb-service-cleanup")
_REMEDY: Final = f"--client-go-qps={LEAST_QPS} --client-go-burst={LEAST_BURST}"
_FLAG: Final = re.compile(r"--?(?P<name>client-go-qps|client-go-burst)=(?P<value>\d+(\.\d+)?)")

Json = Mapping[str, Any]


def check(
    workloads: Sequence[Json] | None,
    composites: Sequence[Json] | None,
    decorators: Sequence[Json] | None,
) -> Iterable[finding.Finding]:
    """Judge Deployments and StatefulSets, and the controllers; None: they could not be seen."""
    yield from _program(workloads)
    yield from _controllers("CompositeController", COMPOSITES, composites)
    yield from _controllers("DecoratorController", DECORATORS, decorators)


def _program(workloads: Sequence[Json] | None) -> Iterable[finding.Finding]:
    if workloads is None:
        yield finding.unknown(SUBJECT, "Deployments and StatefulSets may not be seen by this user")
        return
    found = [(one, container) for one in workloads if (container := _container(one)) is not None]
    if not found:
        yield finding.failed(
            SUBJECT,
            "no Deployment or StatefulSet runs an image of that name: install Metacontroller "
            "v4.17.2 or newer",
        )
        return
    if len(found) > 1:
        names = ", ".join(_name(one) for one, _ in found)
        yield finding.warning(
            SUBJECT, f"it is there more than once ({names}): two of them work against each other"
        )
    for workload, container in found:
        yield from _one(workload, container)


def _one(workload: Json, container: Json) -> Iterable[finding.Finding]:
    name, status = _name(workload), workload.get("status") or {}
    if not status.get("readyReplicas"):
        yield finding.failed(
            SUBJECT, f"{name} has no ready Pod: see its Pods' logs; until then no Service changes"
        )
    else:
        yield finding.passed(SUBJECT, f"{name} runs")
    words = " ".join(map(str, [*(container.get("command") or ()), *(container.get("args") or ())]))
    flags = {match["name"]: float(match["value"]) for match in _FLAG.finditer(words)}
    if not words:
        yield finding.unknown(
            SUBJECT, f"{name} shows no arguments of its program: see that it has {_REMEDY}"
        )
    elif flags.get("client-go-qps", 0) < LEAST_QPS or flags.get("client-go-burst", 0) < LEAST_BURST:
        yield finding.warning(
            SUBJECT,
            f"{name} is started without {_REMEDY}, so a new Service waits seconds for its "
            "addresses: add these arguments",
        )
    else:
        yield finding.passed(SUBJECT, f"{name} is fast enough ({_REMEDY})")


def _controllers(
    kind: str, wanted: Sequence[str], found: Sequence[Json] | None
) -> Iterable[finding.Finding]:
    if found is None:
        yield finding.unknown(SUBJECT, f"{kind}s may not be seen by this user")
        return
    there = {(one.get("metadata") or {}).get("name") for one in found}
    missing = [name for name in wanted if name not in there]
    if missing:
        yield finding.failed(
            SUBJECT, f"{kind} {', '.join(missing)} is not there: install the chart anew"
        )
    else:
        yield finding.passed(SUBJECT, f"{kind} {', '.join(wanted)} is there")


def _container(workload: Json) -> Json | None:
    """Return the container that runs Metacontroller."""
    pod = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in pod.get("containers") or ():
        image = str(container.get("image", "")).partition("@")[0].rpartition("/")[2]
        if image.partition(":")[0] == "metacontroller":
            found: Json = container
            return found
    return None


def _name(workload: Json) -> str:
    metadata = workload.get("metadata") or {}
    return f"{workload.get('kind', 'workload')} {metadata.get('namespace')}/{metadata.get('name')}"
