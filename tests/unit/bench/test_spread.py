# SPDX-License-Identifier: MIT
import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from bench import spread
from bench.common import report, scenario
from bench.rivals import keepalived, metallb, ours

NODES = [f"node-{number}" for number in range(1, 6)]


class Place:
    """Two contenders that move what a node had to the next one, and one that is told by hand."""

    nodes = NODES

    def __init__(self) -> None:
        self.off: set[str] = set()
        self.settled = 0
        self.wire = SimpleNamespace(macs=self._macs)

    @contextlib.contextmanager
    def contenders(self) -> Iterator[list[Any]]:
        able: list[Any] = [object.__new__(kind) for kind in (ours.Ours, metallb.MetalLb)]
        for one in able:
            one.serve = lambda count, each: list(map(str, range(count)))
        by_hand: Any = object.__new__(keepalived.Keepalived)
        by_hand.name = "keepalived"
        yield [*able, by_hand]

    def cut(self, node: str) -> None:
        self.off.add(node)

    def plug(self, node: str) -> None:
        self.off.remove(node)

    def settle_all(self, everybody: Any, addresses: Any) -> None:
        assert not self.off
        self.settled += 1

    def machine_of(self, mac: str) -> str:
        return mac

    def _macs(self, addresses: Any, seconds: float) -> Any:
        left = [node for node in NODES if node not in self.off]
        return {
            one: {NODES[int(one) % 5] if NODES[int(one) % 5] in left else left[0]}
            for one in addresses
        }


def test_three_pairs_of_nodes_are_cut_off_each_from_rest_and_every_node_is_in_one():
    place: Any = Place()
    rows = spread.run(place, scenario.Options(quick=True))
    assert place.settled == len(spread.cuts(NODES)) == 5
    assert {node for cut in spread.cuts(NODES) if len(cut) > 1 for node in cut} == set(NODES)
    most = [row for row in rows if row.what.startswith("most addresses")]
    assert [(row.who, row.samples) for row in most[:2]] == [
        (ours.Ours.name, (12.0, 12.0, 12.0)),
        (metallb.MetalLb.name, (12.0, 12.0, 12.0)),
    ]
    assert most[2] == report.Row.missing(most[0].what, "keepalived", spread.BY_HAND)


def test_a_row_names_the_nodes_that_were_cut_off():
    cut = ("node-1", "node-2")
    assert spread.of_row(spread.row_name(100, cut)) == "without node-1 and node-2"
    assert spread.of_row(spread.row_name(100, ())) == "without a failure"
