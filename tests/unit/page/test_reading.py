# SPDX-License-Identifier: MIT
import httpx
import pytest

from app.page import reading
from tests.unit.page import cluster


@pytest.fixture
def reader(api, clock, tmp_path):
    return cluster.reader(api, clock, tmp_path)


def names(found):
    return [one["metadata"]["name"] for one in found]


def test_a_reading_holds_all_lists(reader):
    state = reader.state()

    assert state.error == ""
    assert names(state.reading.objects.balancers) == ["front"]
    assert names(state.reading.objects.nodes) == ["node-1", "node-2", "node-3", "node-4"]
    assert len(state.reading.objects.services) == 5
    assert state.reading.at == cluster.NOW


def test_whoever_asks_within_a_moment_gets_the_same_reading(api, clock, reader):
    first = reader.state()
    clock.move(reading.KEPT_S - 0.1)

    assert reader.state() is first
    assert api.asked_for(cluster.SERVICES) == 1


def test_later_there_is_a_new_one(api, clock, reader):
    reader.state()
    clock.move(reading.KEPT_S)
    api.lists[cluster.NODES].pop()

    assert len(reader.state().reading.objects.nodes) == 3


def test_a_clock_that_was_set_back_does_not_keep_a_reading(api, clock, reader):
    reader.state()
    clock.move(-3600)
    reader.state()

    assert api.asked_for(cluster.SERVICES) == 2


def test_events_are_asked_for_less_often_and_only_the_speakers(api, clock, reader):
    api.lists[reading.EVENTS] = [
        cluster.moved("10.77.0.203", "node-3", "node-4", at=cluster.NOW, service="everywhere")
    ]
    reader.state()
    clock.move(reading.KEPT_S)
    state = reader.state()

    assert len(state.reading.objects.events) == 1
    assert api.asked_for(reading.EVENTS) == 1
    [url] = [url for url in api.asked if url.path == reading.EVENTS]
    assert url.params["fieldSelector"] == "reportingComponent=l2lb-speaker"
    clock.move(reading.EVENTS_KEPT_S)
    reader.state()
    assert api.asked_for(reading.EVENTS) == 2


def test_long_lists_are_read_in_pages(api, reader):
    services = api.lists[cluster.SERVICES]
    api.lists[cluster.SERVICES] = services * 300

    assert len(reader.state().reading.objects.services) == 1500
    assert api.asked_for(cluster.SERVICES) == 3


def test_of_too_many_events_some_are_read_and_that_is_said(api, reader):
    event = cluster.moved("10.77.0.203", "node-3", "node-4", at=cluster.NOW, service="everywhere")
    api.lists[reading.EVENTS] = [event] * (reading.MAX_EVENTS + 1)
    found = reader.state().reading

    assert len(found.objects.events) == reading.MAX_EVENTS
    assert found.events_left_out


def test_of_too_many_objects_none_is_shown_as_half_of_them_would_mislead(api, reader, monkeypatch):
    monkeypatch.setattr(reading, "MAX_OBJECTS", 3)
    state = reader.state()

    assert state.reading is None
    assert state.error == (
        "the cluster has more than 3 nodes, which is more than this page reads: use kubectl l2lb"
    )


def test_an_api_server_that_is_gone_leaves_the_last_reading_and_a_sentence(api, clock, reader):
    before = reader.state()
    api.down = True
    clock.move(60)
    state = reader.state()

    assert state.reading is before.reading
    assert state.error == (
        f"GET {cluster.BALANCERS}: the API server cannot be reached: connection refused"
    )
    api.down = False
    clock.move(reading.KEPT_S)
    assert reader.state().error == ""


def test_an_api_server_that_is_gone_is_not_asked_on_and_on(api, reader):
    api.down = True
    reader.state()
    asked = len(api.asked)
    reader.state()

    assert len(api.asked) == asked


@pytest.mark.parametrize("path", [cluster.BALANCERS, reading.EVENTS])
def test_a_list_that_is_refused_is_named_with_the_api_servers_words(api, reader, path):
    api.refused[path] = 403
    state = reader.state()

    assert state.reading is None
    assert state.error == f"GET {path}: 403: no such right"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "the API server's answer of status 200 is no JSON"),
        (b"[]", "the API server's answer is no object"),
        (b'{"items": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "is no JSON"),
    ],
)
def test_an_answer_that_makes_no_sense_is_a_sentence_too(api, clock, tmp_path, content, words):
    reader = cluster.reader(api, clock, tmp_path)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
    reader._client = httpx.Client(base_url="https://cluster", transport=transport)

    assert words in reader.state().error


def test_an_answer_without_end_is_cut(api, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_ANSWER_BYTES", 1000)
    state = cluster.reader(api, clock, tmp_path).state()

    assert "an answer of more than 1000 bytes" in state.error


def test_a_list_that_takes_too_long_ends_the_reading(api, clock, reader):
    api.lists[cluster.SERVICES] = api.lists[cluster.SERVICES] * 300
    answer = api.answer

    def slow(request):
        if request.url.path == cluster.SERVICES:
            clock.move(reading.READING_S)
        return answer(request)

    reader._client = httpx.Client(base_url="https://cluster", transport=httpx.MockTransport(slow))

    assert reader.state().error == (
        f"GET {cluster.SERVICES}: 500 objects came within 20 s, and not all: the API server is slow"
    )


def test_the_token_is_read_anew_as_the_kubelet_replaces_it(api, clock, tmp_path):
    reader = cluster.reader(api, clock, tmp_path)
    said = []

    def answer(request):
        said.append(request.headers["authorization"])
        return api.answer(request)

    reader._client = httpx.Client(base_url="https://cluster", transport=httpx.MockTransport(answer))
    reader.state()
    (tmp_path / "token").write_text("renewed")
    clock.move(60)
    reader.state()

    assert set(said) == {"Bearer secret", "Bearer renewed"}


def test_a_token_that_cannot_be_read_is_a_sentence(reader, tmp_path):
    (tmp_path / "token").unlink()

    assert reader.state().error == (
        f"the token at {tmp_path / 'token'} cannot be read: No such file or directory"
    )
