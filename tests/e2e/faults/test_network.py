# SPDX-License-Identifier: MIT
"""Faults of the segment."""

import time

from tests.e2e.faults import matrix, stage, trial
from tests.e2e.faults import switch as segment

FAR = ("node-1", "node-2")  # on the other side of the split than the client


@matrix.row(
    "Split in two, and healed: two nodes on each side, the client on one",
    may="new connections to the addresses of the other side, for a fail-over",
    never="a connection to an address of the client's side",
)
def test_the_segment_splits_in_two(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running(hurts=FAR) as seen, switch.split(FAR):
        seen.until_taken()


@matrix.row(
    "Split in three, and healed: one node alone, two together, one with the client",
    may="new connections to the addresses of the other sides, for a fail-over",
    never="a connection to an address of the client's side",
)
def test_the_segment_splits_in_three(row: trial.Trial, switch: segment.Switch) -> None:
    islands = (stage.NODES[:1], stage.NODES[1:3])
    with row.running(hurts=stage.NODES[:3]) as seen, switch.split(*islands):
        seen.until_taken()


@matrix.row(
    "Every heartbeat, ARP and NDP frame delivered twice",
    may="nothing",
    never="a connection; a change of holder",
    calm=True,
)
def test_frames_are_duplicated(row: trial.Trial, switch: segment.Switch) -> None:
    machines = (*stage.NODES, "client")
    with row.running(hurts=()), switch.duplicating(machines):
        time.sleep(2.0)


@matrix.row(
    "A cable is plugged in again at a port that learns for 2 s before it forwards",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_a_port_forwards_late(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running() as seen:
        with switch.cut(seen.node):
            seen.until_taken()
        with switch.listening(seen.node):
            time.sleep(2.0)


@matrix.row(
    "The switch learns no MAC and floods, while a cable is cut",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_the_switch_learns_nothing(row: trial.Trial, switch: segment.Switch) -> None:
    machines = (*stage.NODES, "client")
    with row.running() as seen, switch.forgetful(machines), switch.cut(seen.node):
        seen.until_taken()
