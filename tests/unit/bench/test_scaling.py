# SPDX-License-Identifier: MIT
import json
from pathlib import Path

import pytest

from bench import protocol, scaling
from bench.common import costs
from speaker.protocol import const

COST = costs.Costs(
    beat_received_s=30e-6,
    beat_sent_s=100e-6,
    child_event_s=60e-6,
    refresh_child_s=7e-6,
    child_kept_b=1_700,
    child_b=2_800,
    sync_s=0.002,
    sync_child_s=50e-6,
    sync_node_s=60e-6,
    request_b=6_500,
    request_child_b=3_500,
    request_node_b=11_000,
    sync_checked_s=0.05,
)


class Counted(protocol.Group):
    """A group of real cores that counts the frames of one speaker, and their longest."""

    def __init__(self, size: int) -> None:
        self.longest = 0
        super().__init__(size, size)

    def _tell(self, number, event) -> None:
        if number == 0 and hasattr(event, "payload"):
            self.longest = max(self.longest, len(event.payload))
        super()._tell(number, event)


@pytest.mark.parametrize("size", [2, 5])
def test_a_frame_is_as_long_and_as_frequent_as_the_model_says(size: int) -> None:
    group = Counted(size)
    group.run(protocol.WARM_UP_S)
    group.received_s.clear()
    group.longest = 0
    group.run(2.0)
    model = scaling.Group(size)
    name = len("node-000")  # as bench/protocol.py has them
    assert group.longest == model.frame_b - scaling.ETHERNET_BYTES - scaling.NAME_BYTES + name
    assert len(group.received_s) / 2.0 == pytest.approx(model.received_per_s, rel=0.05)


def test_the_largest_group_fits_into_one_frame_and_costs_no_more_than_its_interval_allows() -> None:
    largest = scaling.Group(scaling.LIMIT)
    assert largest.frame_b - scaling.ETHERNET_BYTES <= const.FRAME_BYTES
    for size in range(2, scaling.LIMIT + 1):
        assert scaling.Group(size).received_per_s <= 1 / const.INTERVAL_PER_PEER_S


def test_more_balancers_make_syncs_smaller_and_more_nodes_make_failures_cheaper() -> None:
    one, many = (scaling.Cluster(100, 10_000, balancers) for balancers in (1, 100))
    assert many.sync_s(COST) < one.sync_s(COST) / 50
    few, hundred = (scaling.Cluster(nodes, 10_000, 10) for nodes in (10, 100))
    assert hundred.held == few.held / 10
    assert hundred.told_within_s < few.told_within_s


def test_what_the_burst_of_announcements_holds_is_announced_at_once() -> None:
    assert scaling.Cluster(1_000, 10_000, 1).announced_within_s == 0.0
    assert scaling.Cluster(10, 10_000, 1).announced_within_s == pytest.approx(
        (3_000 / 9 - scaling.ANNOUNCE_BURST) / scaling.ANNOUNCE_RATE
    )


def test_no_more_syncs_than_writes_are_asked_for_and_no_more_children_rewritten_than_exist() -> (
    None
):
    for cluster in scaling.Cluster(10, 100, 1), scaling.Cluster(1_000, 10_000, 100):
        assert cluster.failure_syncs(COST) <= cluster.held
        assert cluster.listing <= cluster.children


def test_a_thousand_nodes_need_several_segments() -> None:
    cluster = scaling.Cluster(1_000, 10_000, 10)
    assert cluster.segments == 10
    assert cluster.group == scaling.Group(100)


def test_the_most_services_are_those_whose_request_just_fits() -> None:
    most = scaling.Cluster(10, 1, 1).most_services(COST)
    assert scaling.Cluster(10, most, 1).is_accepted(COST)
    assert not scaling.Cluster(10, most + 1, 1).is_accepted(COST)


def test_the_share_of_a_core_is_a_line_through_two_labs_and_checked_by_a_third(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for speakers, percent in ((5, 2.0), (10, 3.0), (25, 6.6)):
        row = {
            "what": f"{speakers} nodes, 100 addresses: CPU of a core",
            "who": "l2-load-balancer",
            "count": speakers,
            "median": percent,
        }
        files.append(tmp_path / f"{speakers}.json")
        files[-1].write_text(json.dumps({"rows": [row]}))
    constants = tmp_path / "costs.json"
    constants.write_text(json.dumps({name: getattr(COST, name) for name in COST.__slots__}))
    page = tmp_path / "scaling.md"
    arguments = ["--costs", str(constants), "--page", str(page), "--idle", *map(str, files)]
    assert scaling.main(arguments) == 0
    assert "| 25 | 6.60 % | 6.00 % | -9% |" in page.read_text()
    assert page.read_text() in capsys.readouterr().out


def test_a_file_without_our_share_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text('{"rows": []}')
    with pytest.raises(SystemExit, match="bench idle"):
        scaling.Idle.read(path)
