# SPDX-License-Identifier: MIT
"""Faults of a node, of its cable and of its network card."""

import contextlib
import time
from collections.abc import Iterator

from lab import inside
from tests.e2e.faults import matrix, stage, trial
from tests.e2e.faults import switch as segment

LOSSY_S = 5.0
UPLINK, RENAMED = "eth0", "eth9"


@matrix.row(
    "Cable cut",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_a_cable_is_cut(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running() as seen, switch.cut(seen.node):
        seen.until_taken()


@matrix.row(
    "Its interface loses its carrier",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_a_node_loses_its_carrier(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running() as seen, switch.unplugged(seen.node):
        assert "NO-CARRIER" in row.stage.lab.run(seen.node, "ip", "link", "show", "dev", UPLINK)
        seen.until_taken()


@matrix.row(
    "Its cable sends nothing and hears all",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_a_node_is_not_heard(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running() as seen, switch.unheard(seen.node):
        seen.until_taken()


@matrix.row(
    "Its cable hears nothing and sends all",
    may="new connections to its addresses, for a fail-over; to others', of clients that believe "
    "what it announces, until their holders have set that right",
    never="an address for longer",
)
def test_a_node_is_deaf(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running(hurts=stage.NODES) as seen, switch.deaf(seen.node):
        seen.until_held(seen.others(seen.node))
        time.sleep(2.0)


@matrix.row(
    "Its heartbeats alone are dropped, both ways, by a filter at its port",
    may="nothing",
    never="a connection to another node's address",
    doubled_s=60.0,
    two="the node answers as long as its heartbeats are blocked, and so does its stand-in, "
    "which must take it for dead: both deliver to the same Pods",
)
def test_heartbeats_are_blocked(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running() as seen, switch.blocked(seen.node):
        time.sleep(2.0)


@matrix.row(
    "5 % of all heartbeats lost for 5 s",
    may="nothing",
    never="a connection; a holder",
    calm=True,
)
def test_a_few_heartbeats_are_lost(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running(hurts=()), switch.losing(stage.NODES, 5):
        time.sleep(LOSSY_S)


@matrix.row("20 % of all heartbeats lost for 5 s", may="nothing", never="a connection")
def test_many_heartbeats_are_lost(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running(hurts=()), switch.losing(stage.NODES, 20):
        time.sleep(LOSSY_S)


@matrix.row(
    "50 % of all heartbeats lost for 5 s",
    may="new connections, for a fail-over that was not due",
    never="the state that all come back to",
)
def test_half_of_the_heartbeats_are_lost(row: trial.Trial, switch: segment.Switch) -> None:
    with row.running(hurts=stage.NODES), switch.losing(stage.NODES, 50):
        time.sleep(LOSSY_S)


@matrix.row(
    "2 of 4 nodes lose their power",
    may="new connections to their addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_two_nodes_lose_their_power(row: trial.Trial) -> None:
    with row.running() as seen, contextlib.ExitStack() as off:
        second = seen.others(seen.node)[0]
        seen.hurt.add(second)
        for node in (seen.node, second):
            off.enter_context(row.stage.powered_off(node))
        seen.until_taken()


@matrix.row(
    "All balancer nodes lose their power and come back",
    may="every connection, until the first node is back",
    never="the addresses, the nodes they belong to",
    silent_s=matrix.ANEW_S,
    starts=True,
)
def test_all_nodes_restart(row: trial.Trial) -> None:
    with row.running(hurts=stage.NODES), contextlib.ExitStack() as off:
        for node in stage.NODES:
            off.enter_context(row.stage.powered_off(node))


@matrix.row(
    "A node is removed from the cluster and comes back under its name",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address; its place in the lists",
)
def test_a_node_is_deleted_and_created_again(row: trial.Trial) -> None:
    lab = row.stage.lab
    with row.running() as seen:
        with row.stage.powered_off(seen.node):
            lab.kubectl("delete", "node", seen.node)
            seen.until_taken()
        inside.until(lambda: seen.node in lab.nodes(), f"{seen.node} has registered again")
        row.stage.label_nodes(seen.node)


@matrix.row(
    "Its interface is renamed and named back",
    may="new connections to its addresses",
    never="the addresses; a connection to another node's address",
)
def test_an_interface_is_renamed(row: trial.Trial) -> None:
    lab = row.stage.lab
    with row.running() as seen:
        with renamed(lab, seen.node):
            seen.until_held([seen.node])
            time.sleep(1)
        seen.until_held(stage.NODES)


@contextlib.contextmanager
def renamed(lab: inside.Lab, node: str) -> Iterator[None]:
    """Give a node's uplink another name while it is up, as a new udev rule does."""
    lab.run(node, "ip", "link", "set", UPLINK, "name", RENAMED)
    try:
        yield
    finally:
        lab.run(node, "ip", "link", "set", RENAMED, "name", UPLINK)
