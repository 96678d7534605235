# SPDX-License-Identifier: MIT
import dataclasses
import datetime as dt
import ipaddress

import pytest

from contract import announcement, child, names
from speaker.cluster import reports, view, watch

ADDRESS = ipaddress.ip_address("192.0.2.10")
KEY = ("shop", "web-l2-1")


def says(node: str) -> announcement.Announcement:
    return announcement.Announcement.by(ADDRESS, node=node, interface="eth0", mac="02:00")


def known(
    said: announcement.Announcement | None = None, name: str = "web-l2-1"
) -> dict[watch.Key, view.KnownChild]:
    made = child.Child(
        "shop", name, "web", "u", "front", ADDRESS, ("n1", "n2"), 1, (child.Port(80),), 1
    )
    since = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    read = said and dataclasses.replace(said, since=since)
    status = announcement.encode_status(said, previous={}, now=since) if said else {}
    return {("shop", name): view.KnownChild(made, 0, "7", status, read)}


def wanting(want: announcement.Announcement | None) -> reports.Wants:
    return lambda _, now: want


def fresh() -> reports.Reports:
    return reports.Reports(lambda: 0.5, 0.0)


def test_a_child_nobody_has_spoken_of_is_written_at_once() -> None:
    plan = fresh()
    plan.consider(known(), wanting(says("n1")), 0.0)
    written = plan.due(known(), wanting(says("n1")), 0.0)
    assert written is not None
    assert written.announcement == says("n1")
    assert plan.due(known(), wanting(says("n1")), 100.0) is None


def test_a_change_of_holder_is_written_after_it_has_stood_for_a_while() -> None:
    plan = fresh()
    before, want = known(says("n2")), wanting(says("n1"))
    plan.consider(before, want, 0.0)
    assert plan.due(before, want, 10.9) is None
    assert plan.next_at(0.0) == 11.0
    assert plan.due(before, want, 11.0) is not None


def test_being_considered_again_puts_nothing_off() -> None:
    plan = fresh()
    for moment in range(11):
        plan.consider(known(says("n2")), wanting(says("n1")), float(moment))
    assert plan.due(known(says("n2")), wanting(says("n1")), 11.0) is not None


def test_a_change_that_reverted_is_not_written() -> None:
    plan = fresh()
    plan.consider(known(says("n2")), wanting(says("n1")), 0.0)
    plan.consider(known(says("n2")), wanting(None), 5.0)
    assert plan.next_at(5.0) is None
    plan.consider(known(says("n1")), wanting(says("n1")), 20.0)
    assert plan.next_at(20.0) is None


def test_an_address_in_use_is_written_at_once() -> None:
    plan = fresh()
    want = wanting(announcement.Announcement.in_use(ADDRESS, mac="02:99"))
    plan.consider(known(says("n1")), want, 0.0)
    assert plan.due(known(says("n1")), want, 0.0) is not None


def test_the_first_announcement_of_an_address_that_was_refused_before_is_written_at_once() -> None:
    plan = fresh()
    before = known(announcement.Announcement.in_use(ADDRESS, mac="02:99"))
    plan.consider(before, wanting(says("n1")), 0.0)
    assert plan.due(before, wanting(says("n1")), 0.0) is not None


def test_what_the_status_says_already_is_not_written() -> None:
    plan = fresh()
    plan.consider(known(says("n1")), wanting(says("n1")), 0.0)
    assert plan.due(known(says("n1")), wanting(says("n1")), 100.0) is None


def test_what_was_written_is_believed_until_the_watch_speaks() -> None:
    plan = fresh()
    plan.consider(known(), wanting(says("n1")), 0.0)
    plan.due(known(), wanting(says("n1")), 0.0)
    plan.consider(known(), wanting(says("n1")), 1.0)
    assert plan.next_at(1.0) is None
    plan.seen(KEY)
    plan.consider(known(says("n2")), wanting(says("n1")), 2.0)
    assert plan.next_at(2.0) is not None


def test_a_failed_write_is_tried_again() -> None:
    plan = fresh()
    plan.consider(known(), wanting(says("n1")), 0.0)
    plan.due(known(), wanting(says("n1")), 0.0)
    plan.failed(KEY, 0.2)
    assert plan.due(known(), wanting(says("n1")), 1.0) is None
    assert plan.due(known(), wanting(says("n1")), 1.2) is not None


def test_writes_are_paced() -> None:
    plan = fresh()
    children: dict[watch.Key, view.KnownChild] = {}
    for index in range(100):
        children |= known(name=f"web-l2-{index}")
    want = wanting(says("n1"))
    plan.consider(children, want, 0.0)
    written = 0
    for tenth in range(51):
        while plan.due(children, want, tenth / 10) is not None:
            written += 1
    assert written == pytest.approx(reports.BURST + 5.0 * reports.RATE, abs=1)


def test_a_deleted_child_is_forgotten() -> None:
    plan = fresh()
    plan.consider(known(), wanting(says("n1")), 0.0)
    assert plan.due({}, wanting(says("n1")), 0.0) is None
    plan.consider({}, wanting(None), 1.0)
    assert plan.next_at(1.0) is None


def test_only_an_address_in_use_can_not_wait() -> None:
    plan = fresh()
    blocked = announcement.Announcement(ADDRESS, names.AnnouncedReason.HEARTBEATS_BLOCKED, "b")
    plan.consider(known(says("n1")), wanting(blocked), 0.0)
    assert plan.due(known(says("n1")), wanting(blocked), 0.0) is None
