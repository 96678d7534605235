# SPDX-License-Identifier: MIT
"""`top`: the addresses a node and the last moves, live until it is interrupted."""

import argparse
import datetime as dt
import os
import time
from typing import Final

import rich.console
import rich.live
import rich.text

from app.explain import model
from cli import cluster, errors, gather, output

_MOVES: Final = 8
_BAR: Final = "\N{FULL BLOCK}"
_MISSING: Final = "\N{LIGHT SHADE}"
_TROUBLES: Final = 10


def run(options: argparse.Namespace) -> int:
    """Look again and again, and show what has changed in place."""
    server = cluster.connect(os.environ, context=options.context)
    out = output.Output()
    looks = 0
    with rich.live.Live(console=out.console, auto_refresh=False) as screen:
        while True:
            found = gather.look(server)
            screen.update(picture(found, now=dt.datetime.now(dt.UTC)), refresh=True)
            looks += 1
            if options.looks is not None and looks >= options.looks:
                break
            time.sleep(options.every)
    out.line()
    return errors.Exit.DONE


def picture(found: model.ClusterView, *, now: dt.datetime) -> rich.console.Group:
    """Return one look at the cluster."""
    return rich.console.Group(
        _heading(found, now),
        output.table(["NODE", "HELD", "", "WHY"], map(_node, found.nodes)),
        rich.text.Text(),
        output.table(["ADDRESS", "SERVICE", "STATE", "WHY"], _troubles(found)),
        rich.text.Text(),
        output.table(
            ["MOVED", "ADDRESS", "FROM", "TO", "WHY"],
            (
                [
                    output.age(move.moment, now),
                    str(move.address),
                    move.came_from,
                    move.went_to,
                    move.why,
                ]
                for move in found.moves[:_MOVES]
            ),
        ),
    )


def _heading(found: model.ClusterView, now: dt.datetime) -> rich.text.Text:
    addresses = [address for balancer in found.balancers for address in balancer.addresses]
    announced = sum(address.state.announced for address in addresses)
    pending = sum(service.state.level > model.Level.NOTICE for service in found.services)
    return output.shown(
        f"{now:%H:%M:%S}  {len(found.balancers)} balancers, {len(found.services)} Services "
        f"({pending} in trouble), {announced} of {len(addresses)} addresses announced",
        output.STYLES[found.level],
    )


def _node(node: model.NodeView) -> list[output.Cell]:
    """Return a node's row; the bar shows what it holds, and lightly what it should."""
    level = model.Level.GOOD if node.fit else model.Level.BROKEN
    bar = output.shown(_BAR * node.held, output.STYLES[level])
    bar.append(_MISSING * (node.desired - node.held), "dim")
    return [node.name, f"{node.held}/{node.desired}", bar, node.why]


def _troubles(found: model.ClusterView) -> list[list[output.Cell]]:
    addresses = [
        address
        for balancer in found.balancers
        for address in balancer.addresses
        if address.state.level > model.Level.GOOD
    ]
    addresses.sort(key=lambda address: -address.state.level)
    return [
        [
            str(address.address),
            f"{address.namespace}/{address.service}",
            output.state(address.state),
            address.why,
        ]
        for address in addresses[:_TROUBLES]
    ]
