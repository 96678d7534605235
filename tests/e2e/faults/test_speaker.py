# SPDX-License-Identifier: MIT
"""Faults of the speaker's process, its key and its disk."""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from contract import names
from lab import inside
from tests.e2e.faults import clock, matrix, stage, trial
from tests.e2e.faults import programs as processes

UNREACHABLE = "https://10.77.0.1:1"
PAGE = "http://127.0.0.1:7472/status"
HOUR_S = 3600
JUMPED_S = 1.2  # some heartbeats, polls and claims at each time of the clock
PROBED_S = 5.0  # past the start's 3 s, in which a speaker is careful anyway

Keys = Mapping[str, bytes]


@matrix.row(
    "SIGKILL",
    may="new connections of clients that ask for its addresses, for a fail-over",
    never="a connection to another node's address",
)
def test_a_speaker_is_killed(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen, programs.killed(f"speaker-{seen.node}"):
        seen.until_taken()


@matrix.row(
    "SIGSTOP for 2 s, then SIGCONT",
    may="new connections of clients that ask for its addresses, for a fail-over",
    never="an answer from the past; a connection to another node's address",
)
def test_a_speaker_stands_still(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen, programs.paused(f"speaker-{seen.node}"):
        seen.until_taken()
        taken = time.time()
        time.sleep(1.5)
        # Whoever wakes up must not answer what it was asked while it stood still, nor anything
        # else before it may take the address back.
        seen.claim(seen.others(seen.node), taken, time.time() + stage.FAILBACK_DELAY_S)


@matrix.row(
    "SIGKILL of the taker in a hand-over, as the kernel does for want of memory",
    may="new connections to the address, for a fail-over",
    never="the address; a connection to the address of a node that is well",
)
def test_a_speaker_is_killed_in_a_hand_over(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen:
        kept = next(one for one in row.stage.children() if one.address == seen.victim)
        giver, taker, *_ = kept.nodes
        seen.hurt.add(taker)
        with row.stage.cordoned(giver), programs.killed(f"speaker-{taker}"):
            seen.until_held(seen.others(giver, taker))


@matrix.row(
    "Restart storm: one speaker after the other killed and started, twice round",
    may="new connections of clients that ask for an address, until speakers stay up",
    never="a connection of a client that knows where the address is; two holders",
    silent_s=matrix.ANEW_S,
    starts=True,
)
def test_speakers_restart_again_and_again(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running(hurts=stage.NODES):
        for _ in range(2):
            for node in stage.NODES:
                with programs.killed(f"speaker-{node}"):
                    time.sleep(0.1)
                time.sleep(0.3)


@matrix.row(
    "Every speaker killed at the same time, and started again",
    may="new connections of clients that ask for an address, until the first speaker is back",
    never="a connection of a client that knows where the address is; two holders",
    silent_elsewhere_s=matrix.ANEW_S,
    starts=True,
)
def test_all_speakers_are_killed(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running(hurts=()), programs.killed(*(f"speaker-{node}" for node in stage.NODES)):
        pass


@matrix.row(
    "Disk full under the cache, Services changed, speaker restarted",
    may="new connections to its addresses, for a fail-over",
    never="an address that was made meanwhile; a connection to another node's address",
)
def test_the_disk_of_a_cache_is_full(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen:
        speaker = programs.speaker(seen.node)
        speaker.fill_disk()
        row.stage.user.serve("meanwhile", count="4")
        try:
            row.stage.user.holders("meanwhile", 4)
            with programs.killed(f"speaker-{seen.node}"):
                seen.until_taken()
        finally:
            row.stage.user.delete("meanwhile")


@matrix.row(
    "A speaker comes back with a wrong key",
    may="new connections to its addresses, for a fail-over",
    never="two holders; a connection to another node's address",
)
def test_a_speaker_has_a_wrong_key(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen:
        other = programs.speaker(seen.node)
        wrong = {"1": secrets.token_bytes(32)}
        with programs.killed(f"speaker-{seen.node}"):
            seen.until_taken()
            with other.copy(seen.node, keys=wrong):
                time.sleep(6)


@matrix.row(
    "Its clock is an hour ahead",
    may="new connections to its addresses, for a fail-over, as it restarts",
    never="a holder other than the preferred one after that; another node's connection",
)
def test_the_clock_of_a_node_is_an_hour_ahead(
    row: trial.Trial, programs: processes.Programs
) -> None:
    with row.running() as seen, clock.settable() as wall:
        wall.set(HOUR_S)
        speaker = programs.speaker(seen.node)
        with programs.replaced(seen.node, speaker, prelude=wall.prelude):
            seen.until_taken()
            seen.until_held([seen.node])
            time.sleep(1)


@matrix.row(
    "Its clock is set while it runs: an hour ahead, an hour behind, and right again",
    may="new connections to its addresses, for a fail-over, as it restarts before and after",
    never="a holder other than the preferred one meanwhile; another node's connection",
)
def test_the_clock_of_a_node_jumps(row: trial.Trial, programs: processes.Programs) -> None:
    with row.running() as seen, clock.settable() as wall:
        speaker = programs.speaker(seen.node)
        with programs.replaced(seen.node, speaker, prelude=wall.prelude):
            seen.until_taken()
            seen.until_held([seen.node])
            began = time.time()
            for ahead_s in (HOUR_S, -HOUR_S, 0):
                wall.set(ahead_s)
                time.sleep(JUMPED_S)
            seen.claim([seen.node], began, time.time())


@matrix.row(
    "A second cluster on the segment with the same key and the same pool",
    may="nothing",
    never="an answer of the other cluster for an address that is in use; a connection",
)
def test_another_cluster_has_the_same_key(
    row: trial.Trial, programs: processes.Programs, rival: str
) -> None:
    with row.running(hurts=()) as seen:
        run_rival(programs.speaker(seen.node), rival, keys=None)


@matrix.row(
    "A second cluster on the segment with another key and the same pool",
    may="nothing",
    never="an answer of the other cluster for an address that is in use; a connection",
)
def test_another_cluster_has_another_key(
    row: trial.Trial, programs: processes.Programs, rival: str
) -> None:
    with row.running(hurts=()) as seen:
        run_rival(programs.speaker(seen.node), rival, keys={"1": secrets.token_bytes(32)})


def run_rival(speaker: processes.Speaker, machine: str, *, keys: Keys | None) -> None:
    """Let a machine's speaker want the very addresses that we announce, for some seconds.

    It is of another cluster, whose children list it alone and were never announced. It knows them
    from its cache, as that cluster's API server is away.
    """
    for manifest in speaker.cache["children"]:
        manifest.pop("status", None)
        manifest["metadata"]["annotations"][names.CHILD_NODES] = machine
    with speaker.copy(
        machine,
        keys=keys,
        cache=speaker.cache,
        server=UNREACHABLE,
        node_name=machine,
        group="another-cluster",
    ):

        def known() -> list[Any]:
            found: list[Any] = json.loads(speaker.lab.fetch(machine, PAGE))["addresses"]
            return found

        inside.until(known, "the other cluster's speaker knows its addresses")
        time.sleep(PROBED_S)
        assert not any(address["held_here"] for address in known())
