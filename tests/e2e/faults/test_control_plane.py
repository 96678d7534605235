# SPDX-License-Identifier: MIT
"""Faults of the API server, of etcd, of Metacontroller and of the webhook."""

import json
import time

from lab import inside
from tests.e2e.faults import matrix, stage, trial
from tests.e2e.faults import programs as processes
from tests.e2e.faults import switch as segment
from tests.e2e.faults import upstream as way

MADE = "meanwhile"  # a Service of the user's that is created during the fault
HOOK_TIMEOUT_S = 10.0


@matrix.row(
    "API server down for 10 s; a cable is cut and plugged in again meanwhile",
    may="new connections to its addresses, for a fail-over; changes to Services wait",
    never="a connection to another node's address",
)
def test_the_api_server_is_down(
    row: trial.Trial, switch: segment.Switch, upstream: way.Upstream
) -> None:
    with row.running() as seen, upstream.away():
        until = time.monotonic() + 10.0
        with switch.cut(seen.node):
            seen.until_taken()
        seen.until_held([seen.node])
        time.sleep(max(0.0, until - time.monotonic()))


@matrix.row(
    "API server down for 60 s; every speaker restarts meanwhile, one after the other",
    may="new connections to each address, for a fail-over",
    never="an address for longer",
    long=True,
)
def test_the_api_server_is_down_for_a_minute(
    row: trial.Trial, programs: processes.Programs, upstream: way.Upstream
) -> None:
    with row.running(hurts=stage.NODES) as seen, upstream.away():
        until = time.monotonic() + 60.0
        for node in stage.NODES:
            with programs.killed(f"speaker-{node}"):
                seen.until_held(seen.others(node), seen.stage.addresses)
            # As a DaemonSet's controller does: else the last one to be killed leaves nobody.
            programs.until_ready(node)
        time.sleep(max(0.0, until - time.monotonic()))
        for address, node in seen.held.items():
            seen.until_held([node], [address])


@matrix.row(
    "API server down; every speaker killed at the same time, and started again meanwhile",
    may="new connections of clients that ask for an address, until the first speaker is back",
    never="a connection of a client that knows where the address is; two holders",
    silent_elsewhere_s=matrix.ANEW_S + 2.0,  # in which the API server may answer
    starts=True,
)
def test_all_speakers_are_killed_without_the_api_server(
    row: trial.Trial, programs: processes.Programs, upstream: way.Upstream
) -> None:
    with row.running(hurts=()) as seen, upstream.away():
        with programs.killed(*(f"speaker-{node}" for node in stage.NODES)):
            pass
        for address, node in seen.held.items():
            seen.until_held([node], [address])


@matrix.row(
    "API server down for 10 min; a cable is cut and plugged in again meanwhile",
    may="new connections to its addresses, for a fail-over; changes to Services wait",
    never="a connection to another node's address",
    long=True,
)
def test_the_api_server_is_down_for_ten_minutes(
    row: trial.Trial, switch: segment.Switch, upstream: way.Upstream
) -> None:
    with row.running() as seen, upstream.away():
        time.sleep(300.0)
        with switch.cut(seen.node):
            seen.until_taken()
        time.sleep(300.0)


@matrix.row(
    "API server slow, 2 s a call; a cable is cut and a Service made meanwhile",
    may="new connections to its addresses, for a fail-over",
    never="a connection to another node's address; the new Service",
    long=True,
)
def test_the_api_server_is_slow(
    row: trial.Trial, switch: segment.Switch, upstream: way.Upstream
) -> None:
    with row.running() as seen:
        with upstream.slow(2.0), switch.cut(seen.node):
            row.stage.user.serve(MADE, count="2")
            seen.until_taken()
            time.sleep(4.0)
        made(row.stage)


@matrix.row(
    "Every connection of the nodes to the API server reset each second, for 6 s; a Service made",
    may="nothing",
    never="a connection; a change of holder; the new Service",
    calm=True,
)
def test_watches_are_cut(row: trial.Trial, upstream: way.Upstream) -> None:
    with row.running(hurts=()):
        with upstream.cut_every(1.0):
            row.stage.user.serve(MADE, count="2")
            time.sleep(6.0)
        made(row.stage)


@matrix.row(
    "etcd killed and started again 3 s later",
    may="changes to Services wait",
    never="a connection; a change of holder",
    calm=True,
)
def test_etcd_restarts(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running(hurts=()), programs.killed("etcd"):
        time.sleep(3.0)


@matrix.row(
    "All balancer nodes NotReady at once",
    may="open connections, several times: nodes turn NotReady and Ready one after another within "
    "milliseconds, and each time addresses go to a node that is Ready still, or again",
    never="a new connection; an address",
)
def test_all_nodes_are_not_ready(row: trial.Trial) -> None:
    lab = row.stage.lab
    with row.running(hurts=()):
        try:
            say_ready(lab, "False")
            time.sleep(3.0)
        finally:
            say_ready(lab, "True")


@matrix.row(
    "Webhook down for 5 s; a Service made meanwhile",
    may="changes to Services wait",
    never="a connection; a change of holder; the new Service",
    calm=True,
)
def test_the_webhook_is_down(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running(hurts=()):
        with programs.killed("webhook"):
            row.stage.user.serve(MADE, count="2")
            time.sleep(5.0)
        made(row.stage)


@matrix.row(
    "Webhook slower than its timeout, for 12 s; a Service made meanwhile",
    may="changes to Services wait",
    never="a connection; a change of holder; the new Service",
    calm=True,
)
def test_the_webhook_is_too_slow(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running(hurts=()):
        with programs.paused("webhook"):
            row.stage.user.serve(MADE, count="2")
            time.sleep(HOOK_TIMEOUT_S + 2.0)
        made(row.stage)


@matrix.row(
    "Webhook answers 500 for 5 s; a Service made meanwhile",
    may="changes to Services wait",
    never="a connection; a change of holder; the new Service",
    calm=True,
)
def test_the_webhook_answers_500(row: trial.Trial, upstream: way.Upstream) -> None:
    with row.running(hurts=()):
        with upstream.hooks_answer(500):
            row.stage.user.serve(MADE, count="2")
            time.sleep(5.0)
        made(row.stage)


@matrix.row(
    "Metacontroller killed in the middle of making 20 Services",
    may="the new Services wait",
    never="a connection; a change of holder; an address given twice",
    calm=True,
)
def test_metacontroller_is_killed_half_way(row: trial.Trial, programs: processes.Programs) -> None:
    new = [f"many-{number}" for number in range(20)]
    with row.running(hurts=()), row.stage.services(new, count="2"):
        inside.until(lambda: row.stage.children_of(new), "some Services have children")
        with programs.killed("metacontroller"):
            time.sleep(1.0)
        given = row.stage.given(new, 2)
        assert len({*given, *row.stage.addresses}) == len(given) + len(row.stage.addresses)


def made(on: stage.Stage) -> None:
    """See that the Service that was made meanwhile is announced, and take it away."""
    try:
        on.given([MADE], 2)  # waits for longer than a test of the product alone
        on.user.holders(MADE, 2)
    finally:
        on.user.delete(MADE)
    on.user.loses_all(MADE)


def say_ready(lab: inside.Lab, status: str) -> None:
    """Write the condition Ready of all balancer nodes, as their kubelets do."""
    said = {"type": "Ready", "status": status, "reason": "Faults", "message": "a row of the matrix"}
    patch = json.dumps({"status": {"conditions": [said]}})
    nodes = [f"node/{node}" for node in stage.NODES]
    lab.kubectl("patch", *nodes, "--subresource=status", "--type=strategic", "-p", patch)
