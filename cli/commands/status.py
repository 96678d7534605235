# SPDX-License-Identifier: MIT
"""`status`: balancers, their nodes, Services and addresses, desired against observed."""

import argparse
import datetime as dt
import os
from collections.abc import Iterable

from app.explain import model
from cli import cluster, errors, gather, output


def run(options: argparse.Namespace) -> int:
    """Show the cluster as it is now."""
    server = cluster.connect(os.environ, context=options.context)
    found = gather.look(server, namespace=options.namespace)
    if options.balancer is not None:
        found = only(found, options.balancer)
    out = output.Output(options.output)
    if not out.data(found):
        show(found, out, now=dt.datetime.now(dt.UTC))
    return errors.Exit.DONE


def only(found: model.ClusterView, name: str) -> model.ClusterView:
    """Return what concerns one balancer. Raises NotFoundError."""
    for balancer in found.balancers:
        if balancer.name == name:
            return model.ClusterView(
                balancers=(balancer,),
                services=balancer.services,
                nodes=balancer.nodes,
                moves=tuple(
                    move
                    for move in found.moves
                    if any(
                        (move.namespace, move.service) == (one.namespace, one.name)
                        for one in balancer.services
                    )
                ),
                problems=found.problems,
            )
    names = output.listed(balancer.name for balancer in found.balancers)
    raise errors.NotFoundError(f"there is no balancer {name}; there are: {names}")


def show(found: model.ClusterView, out: output.Output, *, now: dt.datetime) -> None:
    """Write tables for people."""
    if not found.balancers:
        out.line("There is no L2LoadBalancer yet: create one, like examples/balancer.yaml.")
    headings = ["BALANCER", "STATE", "ASSIGNED", "FREE", "NODES", "SERVICES", "POOL", "WHY"]
    out.table(headings, (_balancer(balancer) for balancer in found.balancers))
    out.table(["NODE", "STATE", "DESIRED", "HELD", "WHY"], map(node_row, found.nodes))
    headings = ["SERVICE", "STATE", "ADDRESS", "DESIRED", "HOLDER", "SINCE"]
    if out.wide:
        headings += ["INTERFACE", "MAC", "STAND-INS", "CHILD"]
    rows = (row for service in found.services for row in _service(service, out, now))
    out.table([*headings, "WHY"], rows)
    for balancer in found.balancers:
        shown = {address for service in balancer.services for address in service.addresses}
        ownerless = [address for address in balancer.addresses if address not in shown]
        out.table(
            ["ADDRESS", "STATE", "HOLDER", "WHY"],
            ([str(a.address), output.state(a.state), a.holder or "-", a.why] for a in ownerless),
        )
    for problem in found.problems:
        out.line(problem, output.STYLES[model.Level.BROKEN])


def node_row(node: model.NodeView) -> list[output.Cell]:
    """Return a node's row: its state, its counts, and what is against it."""
    if not node.member:
        word, level = "excluded" if node.exists else "gone", model.Level.NOTICE
    elif not node.fit:
        word, level = "unfit", model.Level.BROKEN
    else:
        word, level = "fit", model.Level.GOOD
    return [
        node.name,
        output.shown(word, output.STYLES[level]),
        str(node.desired),
        str(node.held),
        node.why,
    ]


def _balancer(balancer: model.BalancerView) -> list[output.Cell]:
    why = "" if balancer.state.level is model.Level.GOOD else balancer.summary
    return [
        balancer.name,
        output.state(balancer.state),
        output.listed(f"{one.assigned}/{one.total} IPv{one.version}" for one in balancer.families),
        output.listed(str(one.free) for one in balancer.families),
        str(sum(node.member for node in balancer.nodes)),
        str(len(balancer.services)),
        output.listed(balancer.pool),
        why,
    ]


def _service(
    service: model.ServiceView, out: output.Output, now: dt.datetime
) -> Iterable[list[output.Cell]]:
    """Yield a row an address, the first with the Service's name; one row without any address."""
    name = f"{service.namespace}/{service.name}"
    state = output.state(service.state)
    width = 4 if out.wide else 0
    if service.state.level > model.Level.NOTICE or not service.addresses:
        summary = service.summary if not _is_said(service) else ""
        if not service.addresses:
            yield [name, state, *["-"] * (4 + width), service.summary]
            return
        if summary:
            yield [name, state, *[""] * (4 + width), summary]
            name, state = "", output.shown("")
    for address in service.addresses:
        why = "" if address.state.level is model.Level.GOOD else address.why
        row: list[output.Cell] = [
            name,
            state,
            output.shown(str(address.address), output.STYLES[address.state.level]),
            address.desired or "-",
            output.shown(address.holder or "nobody", output.STYLES[address.state.level]),
            output.age(address.since, now),
        ]
        if out.wide:
            row += [
                address.interface or "-",
                address.mac or "-",
                output.listed(address.nodes[1:]),
                address.child,
            ]
        yield [*row, why]
        name, state = "", output.shown("")


def _is_said(service: model.ServiceView) -> bool:
    """Whether the Service's summary is what one of its addresses says anyhow."""
    return any(service.summary.endswith(address.why) for address in service.addresses)
