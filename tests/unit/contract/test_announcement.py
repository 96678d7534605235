# SPDX-License-Identifier: MIT
import datetime as dt
import ipaddress

import pytest

from contract import announcement, names

ADDRESS = ipaddress.ip_address("192.0.2.10")
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=5)
BY_N3 = announcement.Announcement.by(ADDRESS, node="n3", interface="eth1", mac="52:54:00:12:34:56")


def written(one, previous=None, now=NOON):
    return {"status": announcement.encode_status(one, previous=previous or {}, now=now)}


def test_what_a_speaker_writes_the_webhook_reads():
    read = announcement.decode_status(written(BY_N3), address=ADDRESS)
    assert read is not None
    assert (read.node, read.reason, read.since) == ("n3", "Announcing", NOON)


def test_a_holder_that_changes_keeps_the_transition_time():
    first = written(BY_N3)["status"]
    by_n1 = announcement.Announcement.by(
        ADDRESS, node="n1", interface="eth0", mac="02:00:00:00:00:01"
    )
    second = written(by_n1, previous=first, now=LATER)["status"]
    assert second["conditions"][0]["lastTransitionTime"] == "2026-01-31T12:00:00Z"
    lost = announcement.Announcement(ADDRESS, names.AnnouncedReason.NO_CANDIDATE, "nobody")
    third = written(lost, previous=second, now=LATER)["status"]
    assert third["conditions"][0]["lastTransitionTime"] == "2026-01-31T12:05:00Z"
    assert third["loadBalancer"]["ingress"] == []


def test_conditions_of_others_are_kept():
    theirs = {"type": "example.com/Checked", "status": "True"}
    status = written(BY_N3, previous={"conditions": [theirs]})["status"]
    assert theirs in status["conditions"]


LOST = announcement.Announcement(ADDRESS, names.AnnouncedReason.NO_CANDIDATE, "nobody")
IN_USE = announcement.Announcement.in_use(ADDRESS, mac="02:00:00:00:00:99")


def ever(status, address=ADDRESS):
    return announcement.ever_announced(status, address=address)


@pytest.mark.parametrize("later", [LOST, IN_USE])
def test_that_an_address_was_announced_outlives_every_later_reason(later):
    first = written(BY_N3)["status"]
    assert ever(first)
    status = written(later, previous=first, now=LATER)["status"]
    assert ever(status)
    assert written(later, previous=status, now=LATER)["status"] == status
    fact = status["conditions"][-1]
    assert (fact["type"], fact["status"]) == ("l2lb.io/EverAnnounced", "True")
    assert fact["lastTransitionTime"] == "2026-01-31T12:00:00Z"


@pytest.mark.parametrize("one", [LOST, IN_USE])
def test_what_was_only_refused_was_never_announced(one):
    assert not ever(written(one)["status"])


def test_a_child_that_gets_another_address_starts_anew():
    other = ipaddress.ip_address("192.0.2.11")
    before = written(LOST, previous=written(BY_N3)["status"])["status"]
    assert not ever(before, other)
    refused = announcement.Announcement.in_use(other, mac="02:00:00:00:00:99")
    status = written(refused, previous=before)["status"]
    assert [condition["type"] for condition in status["conditions"]] == ["l2lb.io/Announced"]
    assert not ever(status)
    announced = announcement.Announcement.by(other, node="n3", interface="eth1", mac="02:00")
    status = written(announced, previous=before, now=LATER)["status"]
    assert (ever(status), ever(status, other)) == (False, True)
    assert status["conditions"][-1]["lastTransitionTime"] == "2026-01-31T12:05:00Z"


def test_what_an_older_speaker_announced_was_announced():
    first = written(BY_N3)["status"]
    first["conditions"] = [c for c in first["conditions"] if c["type"] == "l2lb.io/Announced"]
    assert ever(first)
    assert not ever(first, ipaddress.ip_address("192.0.2.11"))
    assert ever(written(LOST, previous=first)["status"])


def test_an_older_speaker_that_writes_over_it_keeps_that_it_was_announced():
    first = written(BY_N3)["status"]
    refused = written(IN_USE)["status"]["conditions"]
    kept = [c for c in first["conditions"] if c["type"] != "l2lb.io/Announced"]
    assert ever({"loadBalancer": {"ingress": []}, "conditions": [*kept, *refused]})


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (written(IN_USE)["status"], ADDRESS),
        (written(BY_N3)["status"], None),
        ({}, None),
        ({"conditions": [{"type": "l2lb.io/Announced", "reason": "AddressInUse"}]}, None),
    ],
)
def test_which_address_a_stranger_was_found_to_use(status, found):
    assert announcement.reported_in_use(status) == found


@pytest.mark.parametrize("one", [BY_N3, IN_USE])
def test_a_report_on_an_earlier_address_is_not_taken_for_one_on_this(one):
    other = ipaddress.ip_address("192.0.2.11")
    assert announcement.decode_status(written(one), address=ADDRESS) is not None
    assert announcement.decode_status(written(one), address=other) is None
