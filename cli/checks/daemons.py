# SPDX-License-Identifier: MIT
"""The speakers: one on each balancer node, with the same keys, and without complaints."""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app.explain import reading
from cli import speakers
from cli.checks import finding
from contract import pool

SUBJECT: Final = "speakers"
KEYS: Final = "heartbeat keys"
STRICT_ARP: Final = "strictARP"
_NAMED: Final = 5


def check(
    read: reading.Reading, running: Sequence[speakers.Speaker], beliefs: Sequence[speakers.Belief]
) -> Iterable[finding.Finding]:
    """Judge which nodes have a speaker, and what the speakers say."""
    yield from _places(read, running)
    asked = [belief for belief in beliefs if not belief.why_not]
    if not asked:
        why = beliefs[0].why_not if beliefs else "no speaker runs"
        yield finding.unknown(SUBJECT, f"none of them could be asked: {why}")
        yield finding.unknown(KEYS, "the speakers could not be asked for the ids of their keys")
        return
    for belief in beliefs:
        if belief.why_not:
            yield finding.warning(SUBJECT, f"{belief.speaker.node}: {belief.why_not}")
    complaints = _complaints(asked)
    yield from complaints or [finding.passed(SUBJECT, f"none of {len(asked)} complains")]
    yield _keys(asked)


def subnets(beliefs: Iterable[speakers.Belief]) -> list[pool.Network] | None:
    """Return the subnets of the interfaces that speakers tell of; None where none does."""
    found: list[pool.Network] = []
    told = False
    for belief in beliefs:
        for link in belief.status.get("links") or ():
            told = told or "subnets" in link
            for text in link.get("subnets") or ():
                try:
                    found.append(ipaddress.ip_network(text))
                except ValueError:
                    continue  # a newer speaker's way to write it
    return found if told else None


def strict_arp(
    proxy: Mapping[str, Any] | None, beliefs: Sequence[speakers.Belief]
) -> finding.Finding:
    """Judge kube-proxy's configuration (None: not seen), and what speakers see of the kernel."""
    asked = [belief for belief in beliefs if not belief.why_not]
    complaining = [
        belief.speaker.node
        for belief in asked
        if any("strictARP" in str(text) for text in belief.status.get("complaints") or ())
    ]
    if complaining:
        return finding.failed(
            STRICT_ARP,
            f"on {_some(complaining)} kube-proxy runs in IPVS mode and the kernel answers for "
            "every address: set ipvs.strictARP to true in kube-proxy's configuration",
        )
    if proxy is not None:
        ipvs = proxy.get("ipvs") or {}
        if proxy.get("mode") != "ipvs":
            mode = proxy.get("mode") or "its default mode"
            return finding.passed(STRICT_ARP, f"not needed: kube-proxy runs in {mode}")
        if ipvs.get("strictARP") is not True:
            return finding.failed(
                STRICT_ARP,
                "kube-proxy runs in IPVS mode without strictARP, so every node answers for every "
                "address: set ipvs.strictARP to true in ConfigMap kube-system/kube-proxy",
            )
        return finding.passed(STRICT_ARP, "kube-proxy runs in IPVS mode with strictARP")
    if asked:
        return finding.passed(
            STRICT_ARP, f"no kernel answers for addresses by itself, as {len(asked)} speakers see"
        )
    return finding.unknown(
        STRICT_ARP, "neither kube-proxy's ConfigMap nor a speaker's word could be seen"
    )


def _places(
    read: reading.Reading, running: Sequence[speakers.Speaker]
) -> Iterable[finding.Finding]:
    if read.nodes is None:
        yield finding.unknown(SUBJECT, "nodes may not be seen by this user")
        return
    ready = {speaker.node for speaker in running if speaker.ready}
    selectors = [balancer.spec.node_selector for balancer in read.balancers.values()]
    needed = [
        node.name
        for node in read.nodes.values()
        if not node.down and any(node.matches(selector) for selector in selectors)
    ]
    missing = sorted(set(needed) - ready)
    if missing:
        yield finding.failed(
            SUBJECT,
            f"no ready speaker runs on {_some(missing)}: see the Pods of DaemonSet l2lb-speaker, "
            "its nodeSelector and tolerations",
        )
    else:
        yield finding.passed(SUBJECT, f"a ready one runs on each of {len(needed)} balancer nodes")


def _complaints(asked: Iterable[speakers.Belief]) -> list[finding.Finding]:
    nodes: dict[str, list[str]] = defaultdict(list)
    for belief in asked:
        for text in belief.status.get("complaints") or ():
            nodes[str(text)].append(belief.speaker.node)
    return [
        finding.failed(SUBJECT, f"{_some(names)}: {text}") for text, names in sorted(nodes.items())
    ]


def _keys(asked: Sequence[speakers.Belief]) -> finding.Finding:
    by_keys: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for belief in asked:
        ids = belief.status.get("keyIds")
        if not isinstance(ids, list):
            return finding.unknown(KEYS, f"the speaker on {belief.speaker.node} does not tell")
        by_keys[tuple(map(str, ids))].append(belief.speaker.node)
    if len(by_keys) == 1:
        return finding.passed(KEYS, f"all {len(asked)} speakers have the same")
    shared = set.intersection(*(set(ids) for ids in by_keys))
    told = "; ".join(f"{_some(names)}: {', '.join(ids)}" for ids, names in sorted(by_keys.items()))
    if shared:
        return finding.warning(
            KEYS, f"speakers differ, and hear each other by one they share ({told}): a roll-over"
        )
    return finding.failed(
        KEYS,
        f"speakers share no key, so they do not hear each other ({told}): let all mount the same "
        "Secret, and wait until they have read it",
    )


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    listed = ", ".join(sorted(names)[:_NAMED])
    return f"{listed} and {rest} more" if rest > 0 else listed
