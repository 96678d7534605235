# SPDX-License-Identifier: MIT
"""`check`: whether everything that balancers need is in place."""

import argparse
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import yaml

from app.explain import model, reading
from cli import cluster, errors, gather, output, speakers
from cli.checks import daemons, finding, metacontroller, pools, release
from contract import names

_CRD: Final = (
    f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.PLURAL}.{names.GROUP}"
)
_META: Final = "/apis/metacontroller.k8s.io/v1alpha1"
_SERVICE_RANGES: Final = "/apis/networking.k8s.io/v1/servicecidrs"
_STATEFUL_SETS: Final = "/apis/apps/v1/statefulsets"
_PROXY: Final = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
_STYLES: Final = {
    finding.Verdict.PASSED: output.STYLES[model.Level.GOOD],
    finding.Verdict.UNKNOWN: output.STYLES[model.Level.NOTICE],
    finding.Verdict.WARNING: output.STYLES[model.Level.WAITING],
    finding.Verdict.FAILED: output.STYLES[model.Level.BROKEN],
}

T = TypeVar("T")


def run(options: argparse.Namespace) -> int:
    """Look at everything; 1 when something has failed."""
    server = cluster.connect(os.environ, context=options.context)
    out = output.Output(options.output)
    found = list(findings(server, context=options.context))
    if not out.data({"findings": found}):
        out.table(
            ["CHECK", "VERDICT", "FOUND"],
            (
                [one.subject, output.shown(one.verdict, _STYLES[one.verdict]), one.sentence]
                for one in found
            ),
        )
    wrong = any(one.verdict is finding.Verdict.FAILED for one in found)
    return errors.Exit.NOT_WELL if wrong else errors.Exit.DONE


def findings(server: cluster.Cluster, *, context: str | None) -> Iterable[finding.Finding]:
    """Yield what each check found. Raises ClusterError when the API server cannot be reached."""
    crd = _crd(server)
    yield from release.check(
        crd=crd,
        webhooks=_labelled(server, cluster.DEPLOYMENTS, gather.WEBHOOK),
        daemons=_labelled(server, cluster.DAEMON_SETS, gather.SPEAKER),
        ours=_version(),
    )
    yield from metacontroller.check(
        _workloads(server),
        _seen(lambda: server.list(f"{_META}/compositecontrollers")),
        _seen(lambda: server.list(f"{_META}/decoratorcontrollers")),
    )
    running = _seen(lambda: speakers.find(server)) or []
    beliefs = speakers.ask(server, running, context=context)
    yield daemons.strict_arp(_seen(lambda: _proxy(server)), beliefs)
    if crd is None:
        return
    objects = gather.objects(server)
    read = reading.read(objects, gather.keys(server))
    yield from daemons.check(read, running, beliefs)
    yield from pools.check(
        read.balancers,
        nodes=objects.nodes,
        services=objects.services,
        ranges=_seen(lambda: server.list(_SERVICE_RANGES)),
        subnets=daemons.subnets(beliefs),
    )
    for problem in read.problems:
        yield finding.failed("objects", problem)


def _seen(look: Callable[[], T]) -> T | None:
    """Return what may be seen; None for what is not there or not allowed."""
    try:
        return look()
    except (errors.ForbiddenError, errors.NotFoundError):
        return None


def _labelled(server: cluster.Cluster, path: str, selector: str) -> list[cluster.Json] | None:
    return _seen(lambda: server.list(path, labelSelector=selector))


def _version() -> str | None:
    try:
        return importlib.metadata.version("l2-load-balancer")
    except importlib.metadata.PackageNotFoundError:
        return None


def _crd(server: cluster.Cluster) -> cluster.Json | None:
    try:
        return server.get(_CRD)
    except errors.NotFoundError:
        return None


def _workloads(server: cluster.Cluster) -> list[cluster.Json] | None:
    """Return Deployments and StatefulSets with their kinds, which a list leaves out of items."""
    found: list[cluster.Json] = []
    for kind, path in (("Deployment", cluster.DEPLOYMENTS), ("StatefulSet", _STATEFUL_SETS)):
        several = _seen(lambda path=path: server.list(path))  # type: ignore[misc]
        if several is None:
            return None
        found.extend({**one, "kind": kind} for one in several)
    return found


def _proxy(server: cluster.Cluster) -> Mapping[str, Any] | None:
    """Return kube-proxy's configuration as kubeadm stores it; None for another's."""
    text = (server.get(_PROXY).get("data") or {}).get("config.conf")
    try:
        found = yaml.safe_load(text or "")
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None
