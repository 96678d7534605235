# SPDX-License-Identifier: MIT
import datetime as dt
import ipaddress

import httpx2

from contract import child
from speaker.cluster import api, notices, view

ADDRESS = ipaddress.ip_address("192.0.2.10")
NOTICE = notices.Notice(ADDRESS, "AddressMoved", "moved", warns=False)


def known(service: str) -> view.KnownChild:
    made = child.Child("shop", "c", service, "uid-1", "front", ADDRESS, ("n1",), 1, (), 1)
    return view.KnownChild(made, 0, "1", {}, None)


def test_the_event_is_on_the_users_service() -> None:
    now = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    event = notices.manifest(NOTICE, known("web"), node="n1", now=now)
    assert event["involvedObject"]["name"] == "web"
    assert event["involvedObject"]["uid"] == "uid-1"
    assert event["metadata"]["namespace"] == "shop"
    assert (event["reason"], event["type"]) == ("AddressMoved", "Normal")
    assert event["firstTimestamp"] == "2026-01-02T03:04:05Z"


def test_a_long_service_name_leaves_room_for_the_generated_part() -> None:
    event = notices.manifest(NOTICE, known("w" * 63), node="n1", now=dt.datetime.now(dt.UTC))
    assert len(event["metadata"]["generateName"]) + 5 <= 63


def test_what_does_not_fit_is_lost_and_counted() -> None:
    waiting = notices.Notices(api.Api(httpx2.AsyncClient()), "n1", list)
    for _ in range(notices.QUEUE + 7):
        waiting.add(NOTICE)
    assert waiting.lost == 7
