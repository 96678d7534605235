# SPDX-License-Identifier: MIT
"""`drain`: move all addresses off a node without loss, wait until they are off, and undo that.

A holder that is cordoned or excluded gives an address up only when another node has claimed it, so
new connections never fail; open ones end, as those of any address that moves.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from app.explain import model
from cli import cluster, errors, gather, output
from contract import names

# On a Node that we drained: by what. Only that is undone, whatever else was done to the node.
MARK: Final = f"{names.GROUP}/drained-by"
POLL_S: Final = 1.0


def run(options: argparse.Namespace) -> int:
    """Drain the node, or undo that; 1 when addresses are left on it at the end."""
    server = cluster.connect(os.environ, context=options.context)
    path = f"{cluster.NODES}/{options.node}"
    node = server.get(path)
    out = output.Output(options.output)
    if options.undo:
        return _undo(server, path, node, out)
    mark(server, path, node, by=options.by)
    left = wait(
        lambda: held(gather.look(server), options.node),
        timeout_s=options.timeout,
        clock=time.monotonic,
        sleep=time.sleep,
        told=lambda addresses: _tell(out, options.node, addresses),
    )
    if not out.data({"node": options.node, "left": left}):
        _finish(out, options, left)
    return errors.Exit.NOT_WELL if left else errors.Exit.DONE


def mark(server: cluster.Cluster, path: str, node: cluster.Json, *, by: str) -> None:
    """Cordon or label a node, and note that it was us. What was so before stays as it is."""
    metadata, spec = node.get("metadata") or {}, node.get("spec") or {}
    notes = metadata.get("annotations") or {}
    done_by = [word for word in str(notes.get(MARK, "")).split(",") if word]
    if by == "cordon":
        if spec.get("unschedulable") is True:
            return
        change: cluster.Json = {"spec": {"unschedulable": True}}
        labels = {}
    else:
        if names.EXCLUDE_LABEL in (metadata.get("labels") or {}):
            return
        change = {}
        labels = {"labels": {names.EXCLUDE_LABEL: ""}}
    noted = ",".join(sorted({*done_by, by}))
    server.patch(path, change | {"metadata": {"annotations": {MARK: noted}, **labels}})


def undo(server: cluster.Cluster, path: str, node: cluster.Json) -> list[str]:
    """Take back what `mark` did; return by what the node had been drained."""
    notes = (node.get("metadata") or {}).get("annotations") or {}
    done_by = [word for word in str(notes.get(MARK, "")).split(",") if word]
    metadata: cluster.Json = {"annotations": {MARK: None}}
    change: cluster.Json = {"metadata": metadata}
    if "label" in done_by:
        metadata["labels"] = {names.EXCLUDE_LABEL: None}
    if "cordon" in done_by:
        change["spec"] = {"unschedulable": None}
    if done_by:
        server.patch(path, change)
    return done_by


def held(view: model.ClusterView, node: str) -> list[str]:
    """Return the addresses that a node announces, as far as was reported."""
    return sorted(
        {
            str(address.address)
            for balancer in view.balancers
            for address in balancer.addresses
            if address.holder == node
        }
    )


def wait(
    look: Callable[[], list[str]],
    *,
    timeout_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    told: Callable[[Sequence[str]], None],
) -> list[str]:
    """Look until nothing is left or the time is over; return what is left.

    `told` is called when what is left has changed.
    """
    until = clock() + timeout_s
    before: list[str] | None = None
    while True:
        left = look()
        if left != before:
            told(left)
            before = left
        if not left or clock() >= until:
            return left
        sleep(POLL_S)


def _undo(server: cluster.Cluster, path: str, node: cluster.Json, out: output.Output) -> int:
    name = node["metadata"]["name"]
    done_by = undo(server, path, node)
    if out.data({"node": name, "undone": done_by}):
        return errors.Exit.DONE
    if done_by:
        out.line(
            f"{name} is no longer drained (by {' and '.join(done_by)}); it takes its addresses "
            "back when it has been well for each balancer's failbackDelay."
        )
    else:
        out.line(
            f"{name} was not drained by this program, so nothing was changed: 'kubectl uncordon' "
            f"or 'kubectl label node {name} {names.EXCLUDE_LABEL}-' undo what others did."
        )
    return errors.Exit.DONE


def _tell(out: output.Output, node: str, left: Sequence[str]) -> None:
    if left and out.form not in {"json", "yaml"}:
        out.line(f"{node} still announces {output.listed(left)}")


def _finish(out: output.Output, options: argparse.Namespace, left: Sequence[str]) -> None:
    if left:
        out.line(
            f"after {options.timeout} s {options.node} still announces {output.listed(left)}: no "
            "other listed node can take over, or speakers are late to say so; see 'kubectl l2lb "
            f"wire {left[0]}'",
            output.STYLES[model.Level.BROKEN],
        )
    else:
        out.line(
            f"{options.node} announces nothing; 'kubectl l2lb drain --undo {options.node}' gives "
            "it back.",
            output.STYLES[model.Level.GOOD],
        )
