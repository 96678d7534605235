# SPDX-License-Identifier: MIT
"""What users, administrators and strangers do, and do wrong."""

import time
from collections.abc import Iterator

import pytest

from contract import names
from lab import inside
from tests.e2e import people
from tests.e2e.faults import matrix, stage, trial, wire

MANY = [f"one-of-many-{number}" for number in range(100)]
QUIET_S = 1.5


@pytest.fixture
def small(prepared: stage.Stage) -> Iterator[people.Balancer]:
    """A second balancer, of two addresses."""
    made = people.Balancer(
        prepared.lab,
        stage.SMALL_POOL,
        selector={prepared.label: ""},
        failbackDelay=stage.FAILBACK_DELAY,
    )
    yield made
    made.delete()


@pytest.fixture
def other(prepared: stage.Stage, small: people.Balancer) -> people.User:
    """A user of it."""
    return people.User(prepared.lab, prepared.namespace, small.name)


@matrix.row(
    "100 Services made at once, and deleted at once",
    may="nothing",
    never="a connection; a change of holder; an answer for an address that was given back",
    calm=True,
)
def test_a_hundred_services_come_and_go(row: trial.Trial) -> None:
    with row.running(hurts=()):
        with row.stage.services(MANY, count="1"):
            given = row.stage.given(MANY, 1)
            assert len({*given, *row.stage.addresses}) == len(given) + len(row.stage.addresses)
        nobody_answers(given[::10])


@matrix.row(
    "Pool exhausted, then freed",
    may="the address of the one who came too late",
    never="an address that a Service has; a connection",
    calm=True,
)
def test_a_pool_is_exhausted_and_freed(row: trial.Trial, other: people.User) -> None:
    with row.running(hurts=()):
        other.serve("first", count="2")
        had = other.addresses("first", 2)
        other.serve("late", count="1")
        other.complaint("late", names.AssignedReason.POOL_EXHAUSTED)
        assert sorted(other.ingress("first")) == sorted(had)
        other.delete("first")
        assert set(other.addresses("late", 1)) < set(had)
        other.holders("late", 1)
        other.delete("late")
        other.loses_all("late")
        nobody_answers(had)


@matrix.row(
    "Two Services ask for the same address",
    may="the wish of the one who came later",
    never="the address of the one who has it; a connection",
    calm=True,
)
def test_two_services_ask_for_one_address(row: trial.Trial, other: people.User) -> None:
    wish = {names.SERVICE_ADDRESSES: "10.77.0.241"}
    with row.running(hurts=()):
        other.serve("first", count="1", annotations=wish)
        other.gets("first", "10.77.0.241")
        other.serve("late", count="1", annotations=wish)
        other.complaint("late", names.AssignedReason.ADDRESS_TAKEN)
        other.gets("first", "10.77.0.241")
        other.delete("first")
        other.gets("late", "10.77.0.241")
        other.delete("late")
        other.loses_all("late")


@matrix.row(
    "The annotation of a Service removed and set again each second, 3 times",
    may="its own addresses, while it is not set",
    never="two holders of an address of it; a connection to others",
    calm=True,
)
def test_an_annotation_flaps(row: trial.Trial, other: people.User) -> None:
    with row.running(hurts=()):
        other.serve("flaps", count="2")
        other.addresses("flaps", 2)
        for _ in range(3):
            other.annotate("flaps", names.SERVICE_BALANCER, None)
            time.sleep(1.0)
            other.annotate("flaps", names.SERVICE_BALANCER, other.balancer)
            time.sleep(1.0)
        other.addresses("flaps", 2)
        other.holders("flaps", 2)
        other.delete("flaps")
        other.loses_all("flaps")


@matrix.row(
    "A balancer deleted and made again under its name",
    may="its own addresses, while it is not there",
    never="a connection to another balancer's address; the number of its Service's addresses",
    calm=True,
)
def test_a_balancer_is_deleted_and_made_again(
    row: trial.Trial, small: people.Balancer, other: people.User
) -> None:
    with row.running(hurts=()):
        other.serve("web-too", count="2")
        had = other.addresses("web-too", 2)
        other.holders("web-too", 2)
        small.delete()
        inside.until(lambda: not other.ingress("web-too"), "the Service lost its addresses")
        nobody_answers(had)
        small.create()
        other.addresses("web-too", 2)
        other.holders("web-too", 2)
        other.delete("web-too")
        other.loses_all("web-too")


@matrix.row(
    "A node gets the exclude label, and loses it",
    may="nothing",
    never="a connection",
)
def test_a_node_is_excluded(row: trial.Trial) -> None:
    with row.running(hurts=()) as seen:
        with row.stage.labelled(seen.node, names.EXCLUDE_LABEL):
            seen.until_held(seen.others(seen.node))
        seen.until_held([seen.node])


@matrix.row(
    "A foreign host has the address and answers for it, until a status says so",
    may="connections of clients that believe the foreign host",
    never="the address; another address's connections",
    doubled_s=60.0,
    two="the foreign host answers, and we go on: who is right is not for us to decide",
)
def test_a_foreign_host_takes_an_address(row: trial.Trial, rival: str) -> None:
    lab = row.stage.lab
    mac = lab.run(rival, "cat", "/sys/class/net/eth0/address").strip()
    with row.running(strangers=[mac]) as seen:
        lab.run(rival, "ip", "address", "add", f"{seen.victim}/24", "dev", "eth0")
        try:
            people.speak(lab, rival, seen.victim)
            seen.wire.until(lambda now: mac in now[seen.victim], f"{rival} answers")
            row.stage.until_said(seen.victim, names.AnnouncedReason.ADDRESS_CONFLICT)
        finally:
            lab.run(rival, "ip", "address", "delete", f"{seen.victim}/24", "dev", "eth0")
        row.stage.outside.forget(seen.victim)


def nobody_answers(addresses: list[str]) -> None:
    """See on the wire that nobody has these addresses."""
    with wire.watched(addresses) as asked:
        time.sleep(QUIET_S)
    assert not [address for address, seen in asked.seen.items() if seen.macs]
