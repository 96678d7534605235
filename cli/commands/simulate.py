# SPDX-License-Identifier: MIT
"""`simulate`: who would hold what if nodes failed, were drained, or joined."""

import argparse
import datetime as dt
import os
from typing import Final

from app.explain import reading
from cli import cluster, errors, gather, output, trial

_SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"
_OF_SERVICE: Final = "kubernetes.io/service-name"


def run(options: argparse.Namespace) -> int:
    """Try a change out on the cluster as it is now, which stays as it is."""
    change = trial.Change(frozenset(options.fail), frozenset(options.drain), options.add)
    if change == trial.Change():
        raise errors.UsageError("say what is to be tried out: --fail, --drain or --add")
    server = cluster.connect(os.environ, context=options.context)
    world = fetch(server, options.balancer)
    out = output.Output(options.output)
    report = trial.run(world, change, now=dt.datetime.now(dt.UTC))
    if not out.data(report):
        show(report, out)
    return errors.Exit.DONE


def fetch(server: cluster.Cluster, balancer: str | None) -> trial.World:
    """Return the cluster as it is now. Raises NotFoundError for a balancer that is not there."""
    keys = gather.keys(server)
    objects = gather.objects(server)
    if objects.nodes is None:
        raise errors.ForbiddenError("simulating needs the right to list nodes")
    read = reading.read(objects, keys)
    if balancer is not None and balancer not in read.balancers:
        there = output.listed(sorted(read.balancers))
        raise errors.NotFoundError(f"there is no balancer {balancer}; there are: {there}")
    local = {
        (one.child.namespace, one.child.service)
        for siblings in read.children.values()
        for one in siblings
        if one.child.health_check_port is not None
    }
    return trial.World(
        objects=objects,
        namespaces=server.list(cluster.NAMESPACES),
        read=read,
        keys=keys,
        balancers=(balancer,) if balancer is not None else tuple(sorted(read.balancers)),
        serving={service: _serving(server, *service) for service in sorted(local)},
    )


def _serving(server: cluster.Cluster, namespace: str, service: str) -> frozenset[str]:
    """Return the nodes on which a Service has an endpoint, as kube-proxy's health check says."""
    slices = server.list(
        gather.within(_SLICES, namespace), labelSelector=f"{_OF_SERVICE}={service}"
    )
    return frozenset(
        str(endpoint.get("nodeName"))
        for one in slices
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
    )


def show(report: trial.Report, out: output.Output) -> None:
    """Write the report for people: what changes, or everything if wide."""
    rows = [one for one in report.outcomes if out.wide or one.before != one.after]
    out.table(
        ["ADDRESS", "SERVICE", "BALANCER", "BEFORE", "AFTER"],
        (
            [
                str(one.address),
                f"{one.namespace}/{one.service}",
                one.balancer,
                one.before or output.NOTHING,
                one.after or "nobody",
            ]
            for one in rows
        ),
    )
    out.table(
        ["NODE", "BEFORE", "AFTER"],
        ([load.node, _number(load.before), _number(load.after)] for load in report.loads),
    )
    out.line(
        f"Addresses: {report.moved} moved, {report.added} added, {report.unheld} held by nobody. "
        f"Between the most and the least loaded node: {report.gap_before} before, "
        f"{report.gap_after} after."
    )
    for sentence in report.lacking:
        out.line(sentence)


def _number(count: int | None) -> str:
    return output.NOTHING if count is None else str(count)
