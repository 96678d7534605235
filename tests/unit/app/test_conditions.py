# SPDX-License-Identifier: MIT
import datetime as dt

from app import conditions

NOW = dt.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=2)))
GOOD = conditions.Verdict(holds=True, reason="Fine", message="all is well")
BAD = conditions.Verdict(holds=False, reason="Odd", message="it is not")


def test_a_new_condition_has_the_moment_in_utc_and_whole_seconds():
    stated = conditions.stated("Ready", GOOD, before=[], now=NOW)
    assert stated["lastTransitionTime"] == "2026-01-31T10:00:00Z"
    assert (stated["type"], stated["status"], stated["reason"]) == ("Ready", "True", "Fine")


def test_the_transition_time_stays_while_the_status_does():
    old = {"type": "Ready", "status": "True", "reason": "Other", "lastTransitionTime": "before"}
    assert conditions.stated("Ready", GOOD, before=[old], now=NOW)["lastTransitionTime"] == "before"


def test_the_transition_time_is_new_when_the_status_is():
    old = {"type": "Ready", "status": "True", "lastTransitionTime": "before"}
    assert conditions.stated("Ready", BAD, before=[old], now=NOW)["lastTransitionTime"] != "before"


def test_a_condition_of_another_type_lends_nothing():
    old = {"type": "Other", "status": "True", "lastTransitionTime": "before"}
    assert conditions.stated("Ready", GOOD, before=[old], now=NOW)["lastTransitionTime"] != "before"


def test_a_transition_time_that_is_none_is_replaced():
    old = {"type": "Ready", "status": "True", "lastTransitionTime": 3}
    stated = conditions.stated("Ready", GOOD, before=[old], now=NOW)
    assert stated["lastTransitionTime"] == "2026-01-31T10:00:00Z"


def test_a_message_longer_than_an_api_server_takes_is_cut():
    endless = conditions.Verdict(holds=False, reason="Odd", message="x" * 100_000)
    message = conditions.stated("Ready", endless, before=[], now=NOW)["message"]
    assert message == "x" * (conditions.MAX_MESSAGE - 3) + "..."


def test_many_things_and_many_sentences_are_counted():
    many = [str(number) for number in range(8)]
    assert conditions.some(many) == "0, 1, 2, 3, 4 and 3 more"
    assert conditions.told(many) == "0; 1; 2; 3; 4; and 3 more"
    assert conditions.told(many[:2]) == "0; 1"
