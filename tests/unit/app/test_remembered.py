# SPDX-License-Identifier: MIT
import datetime as dt
import itertools
import json
import tracemalloc

import pytest

from app.hooks import balancer_sync, call
from app.models import hooks
from bench import requests

NOW = dt.datetime(2026, 1, 31, 13, 0, tzinfo=dt.UTC)


@pytest.fixture
def read():
    """What was read, in order."""
    return []


@pytest.fixture
def remembered(read):
    def reading(raw, more):
        read.append(raw)
        return raw.decode() + more

    return hooks.Remembered(reading, most_bytes=10)


def test_what_comes_again_is_not_read_again(remembered, read):
    assert [remembered(b"web", "1") for _ in range(3)] == ["web1"] * 3
    assert read == [b"web"]


def test_the_same_bytes_asked_about_otherwise_are_read(remembered):
    assert remembered(b"web", "1") == "web1"
    assert remembered(b"web", "2") == "web2"


def test_what_was_read_first_is_forgotten_first(remembered, read):
    for raw in (b"aaaa", b"bbbb", b"aaaa", b"cccc"):
        remembered(raw, "")
    read.clear()
    for raw in (b"bbbb", b"cccc", b"aaaa"):
        remembered(raw, "")
    assert read == [b"aaaa"]


def test_what_is_larger_than_all_that_may_be_remembered_is_read_anew_each_time(remembered, read):
    for _ in range(2):
        assert remembered(b"too large for it", "") == "too large for it"
    assert len(read) == 2
    remembered(b"web", "")
    remembered(b"web", "")
    assert len(read) == 3


def test_what_nobody_remembers_is_read_again(remembered, read):
    remembered(b"web", "")
    remembered.forget()
    remembered(b"web", "")
    assert len(read) == 2


def test_what_cannot_be_read_is_not_remembered():
    answers = iter([ValueError("no Service"), "web"])

    def reading(_raw):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    remembered = hooks.Remembered(reading, most_bytes=10)
    with pytest.raises(ValueError, match="no Service"):
        remembered(b"web")
    assert remembered(b"web") == "web"


def test_one_large_service_that_is_edited_all_the_time_costs_no_more_than_many_small_ones():
    """Of 48 MB that come in, 12 may stay."""
    service = requests.service("web", annotations={"example.org/large": "x" * 240_000})
    context = call.Call(now=NOW)
    version = itertools.count(1)

    def edit():
        service["metadata"]["resourceVersion"] = str(next(version))
        body = requests.composite(requests.balancer(), services=[service])
        balancer_sync.respond(json.dumps(body).encode(), context)

    edit()
    tracemalloc.start()
    try:
        for _ in range(200):
            edit()
        remaining, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert remaining < 20_000_000
