# SPDX-License-Identifier: MIT
"""How fit this node is to hold addresses, and which of them it declines. Pure.

Times are monotonic seconds. What nobody can tell is no information: it makes no node unfit, so
that an outage of the API server or of a health endpoint leaves the addresses up.
"""

import dataclasses
import http
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from speaker.cluster import view, watch
from speaker.protocol import events

WELL_FOR_S: Final = 5.0  # a service proxy that has just started has not programmed everything
SILENT_FOR_S: Final = 10.0


@dataclasses.dataclass(slots=True)
class Endpoint:
    """What a health endpoint on this node says over time.

    `well` is None until it has been known to be well for `WELL_FOR_S`, or said that it is not. One
    that never answers is no information, unless it should answer: if it does on another node.
    """

    settle_s: float = WELL_FOR_S
    well: bool | None = None
    _well_since: float | None = None
    _answered_at: float | None = None
    _missed_since: float | None = None  # never answered, though expected to

    @property
    def ever_answered(self) -> bool:
        """Whether it has answered at all since this speaker asks it."""
        return self._answered_at is not None

    def observe(self, status: int | None, now: float, *, expected: bool = False) -> bool:
        """Take an answer's HTTP status in, None for no answer; True when `well` changed.

        `expected`: on another node it is known to answer.
        """
        before = self.well
        if status is None:
            self._well_since = None
            if self._answered_at is not None:
                if now - self._answered_at >= SILENT_FOR_S:
                    self.well = False
            elif expected:
                if self._missed_since is None:
                    self._missed_since = now
                if now - self._missed_since >= SILENT_FOR_S:
                    self.well = False
            else:
                self.well = self._missed_since = None
        elif status == http.HTTPStatus.OK:
            self._answered_at = now
            if self._well_since is None:
                self._well_since = now
            if self.well or now - self._well_since >= self.settle_s:
                self.well = True
        else:
            self._answered_at, self._well_since = now, None
            self.well = False
        return self.well != before


def judge(node: view.OwnNode | None, proxy: Endpoint) -> events.FitnessChanged:
    """Return this node's fitness; a node never seen is taken for a good one."""
    rank, why = _rank(node, proxy)
    return events.FitnessChanged(rank=rank, vetoed=False, why=why, proxy_well=proxy.well is True)


def _rank(node: view.OwnNode | None, proxy: Endpoint) -> tuple[events.Rank, str]:
    if node is not None and node.network_unavailable:
        return events.Rank.NOT_READY, "the Node's condition NetworkUnavailable is True"
    if node is not None and node.ready is False:
        return events.Rank.NOT_READY, "the Node's condition Ready is False"
    if proxy.well is False and not proxy.ever_answered:
        return (
            events.Rank.PROXY_FAILING,
            "the service proxy's health endpoint has never answered, and another node's does",
        )
    if proxy.well is False:
        return events.Rank.PROXY_FAILING, "the service proxy's health endpoint fails"
    if node is not None and node.cordoned:
        return events.Rank.CORDONED, "the Node is cordoned"
    return events.Rank.WELL, "well"


def declined(
    children: Iterable[view.KnownChild],
    *,
    node: view.OwnNode | None,
    balancers: Mapping[str, view.Balancer],
    serving: Collection[watch.Key],
) -> frozenset[watch.Key]:
    """Return the children that this node must not announce.

    Those with policy Local that it has no endpoint for, and all when it carries the exclude label,
    but for balancers that ignore that. Declining hands over, where a veto would drop.
    """
    excluded = node is not None and node.excluded
    return frozenset(
        known.key
        for known in children
        if (known.child.health_check_port is not None and known.key not in serving)
        or (excluded and not _ignores_label(balancers.get(known.child.balancer)))
    )


def _ignores_label(balancer: view.Balancer | None) -> bool:
    return balancer is not None and balancer.ignores_exclude_label
