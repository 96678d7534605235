# SPDX-License-Identifier: MIT
"""`wire`: what the speaker of a node believes, or all speakers that an address concerns."""

import argparse
import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import Any

from app.explain import model
from cli import cluster, errors, gather, output, speakers

Json = Mapping[str, Any]


def run(options: argparse.Namespace) -> int:
    """Ask; 1 when a speaker cannot be asked, complains, or contradicts another."""
    server = cluster.connect(os.environ, context=options.context)
    running = speakers.find(server)
    if not running:
        raise errors.NotFoundError(
            f"no speaker runs: install the chart, and see 'kubectl get pods -A -l {gather.SPEAKER}'"
        )
    out = output.Output(options.output)
    address = _address(options.target)
    if address is None:
        return _of_node(server, running, options, out)
    return _of_address(server, running, str(address), options, out)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _of_node(
    server: cluster.Cluster,
    running: Sequence[speakers.Speaker],
    options: argparse.Namespace,
    out: output.Output,
) -> int:
    chosen = [speaker for speaker in running if speaker.node == options.target]
    if not chosen:
        there = output.listed(speaker.node for speaker in running)
        raise errors.NotFoundError(f"no speaker runs on {options.target}; they run on: {there}")
    (belief,) = speakers.ask(server, chosen[:1], context=options.context)
    if belief.why_not:
        raise errors.ClusterError(belief.why_not)
    status = belief.status
    if not out.data(status):
        show_node(status, out)
    wrong = status.get("complaints") or not status.get("listsComplete")
    return errors.Exit.NOT_WELL if wrong else errors.Exit.DONE


def _of_address(
    server: cluster.Cluster,
    running: Sequence[speakers.Speaker],
    address: str,
    options: argparse.Namespace,
    out: output.Output,
) -> int:
    beliefs = speakers.ask(server, running, context=options.context)
    said = opinions(beliefs, address)
    unasked = [belief for belief in beliefs if belief.why_not]
    if not said and not unasked:
        raise errors.NotFoundError(
            f"no speaker knows {address}: see 'kubectl l2lb status' for the addresses there are"
        )
    holders = [str(one["node"]) for one in said if one.get("held_here")]
    wrong = verdict(address, said)
    if not out.data({"address": address, "beliefs": said, "verdict": wrong}):
        show_address(said, out)
        for belief in unasked:
            out.line(f"{belief.speaker.node}: {belief.why_not}")
        level = model.Level.BROKEN if wrong else model.Level.GOOD
        out.line(
            wrong or f"{holders[0]} holds {address}, and nobody contradicts.", output.STYLES[level]
        )
    return errors.Exit.NOT_WELL if wrong or unasked else errors.Exit.DONE


def opinions(beliefs: Sequence[speakers.Belief], address: str) -> list[dict[str, Any]]:
    """Return what each speaker says of an address, with its node."""
    return [
        {"node": belief.speaker.node, **entry}
        for belief in beliefs
        for entry in belief.status.get("addresses") or ()
        if entry.get("address") == address
    ]


def verdict(address: str, said: Sequence[Json]) -> str:
    """Say in what the speakers of an address contradict each other; empty when in nothing."""
    holders = sorted({str(one["node"]) for one in said if one.get("held_here")})
    believed = sorted({str(one["holder"]) for one in said if one.get("holder")})
    if not holders:
        return f"Nobody who could be asked holds {address}."
    if len(holders) > 1:
        return (
            f"{' and '.join(holders)} hold {address} at once: they do not hear each other; let "
            "EtherType 0x88b5 pass between them, and give all speakers the same keys."
        )
    if len(believed) > 1:
        return (
            f"The speakers believe different holders of {address}: {', '.join(believed)}; during a "
            "hand-over that lasts an instant, so ask again."
        )
    return ""


def show_node(status: Json, out: output.Output) -> None:
    """Write a speaker's beliefs for people."""
    fitness = status.get("fitness") or {}
    out.line(
        f"{status.get('node')}: {fitness.get('rank')} ({fitness.get('why')}); keys "
        f"{output.listed(status.get('keyIds') or ())}"
        + ("" if status.get("listsComplete") else "; its lists are not complete yet")
        + ("; it is leaving" if status.get("leaving") else "")
    )
    out.line()
    out.table(
        ["INTERFACE", "MAC", "CARRIER"],
        (
            [str(link.get("name")), str(link.get("mac")), _yes(link.get("carrier"))]
            for link in status.get("links") or ()
            if link.get("ethernet")
        ),
    )
    out.table(
        ["PEER", "INTERFACE", "ALIVE", "HEARS US", "RANK", "HEARD", "WELL FOR", "CLAIMS"],
        (
            [
                str(peer.get("node")),
                str(peer.get("interface")),
                _yes(peer.get("alive")),
                _yes(peer.get("hears_us")),
                str(peer.get("rank")),
                f"{_seconds(peer.get('age_s'))} ago",
                _seconds(peer.get("well_for_s")),
                str(peer.get("claims")),
            ]
            for peer in status.get("peers") or ()
        ),
    )
    show_address(
        [{"node": status.get("node"), **one} for one in status.get("addresses") or ()], out
    )
    for complaint in status.get("complaints") or ():
        out.line(complaint, output.STYLES[model.Level.BROKEN])


def show_address(said: Sequence[Json], out: output.Output) -> None:
    """Write what is believed of addresses."""
    out.table(
        ["NODE", "ADDRESS", "INTERFACE", "HOLDER", "CANDIDATES", "LIST", "WHY"],
        (
            [
                str(one.get("node")),
                str(one.get("address")),
                str(one.get("interface")),
                str(one.get("holder") or output.NOTHING),
                output.listed(one.get("candidates") or ()),
                f"{output.listed(one.get('nodes') or ())} (version {one.get('list_version')})",
                str(one.get("why")),
            ]
            for one in said
        ),
    )


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _seconds(value: Any) -> str:
    return f"{value:.2f} s" if isinstance(value, int | float) else output.NOTHING
