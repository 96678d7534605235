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


@pytest.mark.parametrize(
    "one", [BY_N3, announcement.Announcement.in_use(ADDRESS, mac="02:00:00:00:00:99")]
)
def test_a_report_on_an_earlier_address_is_not_taken_for_one_on_this(one):
    other = ipaddress.ip_address("192.0.2.11")
    assert announcement.decode_status(written(one), address=ADDRESS) is not None
    assert announcement.decode_status(written(one), address=other) is None
