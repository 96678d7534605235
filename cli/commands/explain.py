# SPDX-License-Identifier: MIT
"""`explain service`: why a Service has these addresses, why it waits, and what to do."""

import argparse
import datetime as dt
import os
from typing import Final

from app.explain import model
from cli import cluster, errors, gather, output

_MOVES: Final = 10


def run(options: argparse.Namespace) -> int:
    """Explain one Service; 1 when something is wrong with it."""
    server = cluster.connect(os.environ, context=options.context)
    namespace, name = _named(options, server.namespace)
    found = gather.look(server, namespace=namespace).service(namespace, name)
    if found is None:
        raise _unmarked(server, namespace, name)
    out = output.Output(options.output)
    if not out.data(found):
        show(found, out, now=dt.datetime.now(dt.UTC))
    return errors.Exit.NOT_WELL if found.level > model.Level.NOTICE else errors.Exit.DONE


def show(found: model.ServiceView, out: output.Output, *, now: dt.datetime) -> None:
    """Write the explanation for people."""
    heading = output.shown(f"{found.namespace}/{found.name}: ", "bold")
    heading.append_text(output.state(found.state, found.level))
    out.console.print(heading)
    for sentence in found.sentences:
        out.line(f"- {sentence}")
    if found.moves:
        out.line()
        out.table(
            ["MOVED", "ADDRESS", "FROM", "TO", "WHY"],
            (
                [
                    output.age(move.moment, now) + " ago",
                    str(move.address),
                    move.came_from,
                    move.went_to,
                    move.why,
                ]
                for move in found.moves[:_MOVES]
            ),
        )


def _named(options: argparse.Namespace, default: str) -> tuple[str, str]:
    namespace, slash, name = options.service.rpartition("/")
    if slash and options.namespace not in {None, namespace}:
        raise errors.UsageError(
            f"{options.service} names a namespace, and -n {options.namespace} another: keep one"
        )
    return (namespace or options.namespace or default), name


def _unmarked(server: cluster.Cluster, namespace: str, name: str) -> errors.CliError:
    """Return why nothing can be said of a Service; raises NotFoundError for one that is not."""
    server.get(f"{gather.within(cluster.SERVICES, namespace)}/{name}")
    key = gather.keys(server).balancer[0]
    return errors.NotFoundError(
        f"Service {namespace}/{name} carries no annotation {key}, so no balancer looks at it: "
        "write there the name of one that 'kubectl get l2lb' lists"
    )
