# SPDX-License-Identifier: MIT
"""What a view is made of, fetched: balancers, Services, Nodes, Events, and the annotation keys."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from app import annotations, settings
from app import errors as app_errors
from app.explain import reading
from app.explain import view as views
from app.explain.model import ClusterView
from cli import cluster, errors
from contract import move

WEBHOOK: Final = "app.kubernetes.io/name=l2-load-balancer,app.kubernetes.io/component=webhook"
SPEAKER: Final = "app.kubernetes.io/name=l2-load-balancer,app.kubernetes.io/component=speaker"


def look(server: cluster.Cluster, *, namespace: str | None = None) -> ClusterView:
    """Return the cluster as it is now; `namespace` narrows the Services to one."""
    return views.view(objects(server, namespace=namespace), keys=keys(server))


def objects(server: cluster.Cluster, *, namespace: str | None = None) -> reading.Objects:
    """Return the lists; who may not see Nodes or Events sees the rest."""
    return reading.Objects(
        balancers=server.list(cluster.BALANCERS),
        services=_services(server, namespace),
        nodes=_nodes(server),
        events=_events(server, namespace),
    )


def within(path: str, namespace: str | None) -> str:
    """Return the path of a list in one namespace, or in all."""
    if namespace is None:
        return path
    prefix, _, plural = path.rpartition("/")
    return f"{prefix}/namespaces/{namespace}/{plural}"


def keys(server: cluster.Cluster) -> annotations.Keys:
    """Return the annotation keys that the webhook is set to; the defaults if that is not seen."""
    with contextlib.suppress(errors.CliError, app_errors.SettingsError):
        for deployment in server.list(cluster.DEPLOYMENTS, labelSelector=WEBHOOK):
            given = environment(deployment)
            return settings.read(
                [], {name: value for name, value in given.items() if "ANNOTATION" in name}
            ).keys
    return annotations.Keys()


def environment(workload: Mapping[str, Any]) -> dict[str, str]:
    """Return the literal environment variables of a workload's containers."""
    pod = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return {
        str(variable.get("name")): str(variable["value"])
        for container in pod.get("containers") or ()
        for variable in container.get("env") or ()
        if "value" in variable
    }


def _services(server: cluster.Cluster, namespace: str | None) -> list[cluster.Json]:
    try:
        return server.list(within(cluster.SERVICES, namespace))
    except errors.ForbiddenError as error:
        if namespace is not None:
            raise
        raise errors.ForbiddenError(f"{error}; name a namespace of yours with -n") from None


def _nodes(server: cluster.Cluster) -> list[cluster.Json] | None:
    try:
        return server.list(cluster.NODES)
    except errors.ForbiddenError:
        return None


def _events(server: cluster.Cluster, namespace: str | None) -> list[cluster.Json]:
    try:
        return server.list(within(cluster.EVENTS, namespace), fieldSelector=f"reason={move.REASON}")
    except errors.ForbiddenError:
        return []
