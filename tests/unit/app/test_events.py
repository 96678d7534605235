# SPDX-License-Identifier: MIT
import asyncio
import dataclasses
import datetime as dt
import json

import httpx
import pytest

from app import errors, events, metrics

EVENT = events.Event(
    api_version="v1",
    kind="Service",
    namespace="shop",
    name="web",
    uid="u",
    warning=True,
    reason="PoolExhausted",
    note="no address is free",
    action="AssignAddresses",
    moment=dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC),
)


@pytest.fixture
def cluster(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    return events.Cluster("https://api", token, None)


def posted(cluster, recorded, answer=None):
    """What reaches the API server when these events are recorded."""
    requests = []

    def serve(request):
        requests.append(request)
        return answer or httpx.Response(201)

    async def run():
        client = httpx.AsyncClient(transport=httpx.MockTransport(serve))
        recorder = events.Recorder(cluster, client=client)
        recorder.record(recorded)
        task = asyncio.create_task(recorder.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    return requests


def count(outcome):
    return metrics.REGISTRY.get_sample_value("l2lb_events_total", {"outcome": outcome}) or 0


def test_an_event_is_posted_with_the_token_of_the_moment(cluster):
    (request,) = posted(cluster, [EVENT])
    assert str(request.url) == "https://api/apis/events.k8s.io/v1/namespaces/shop/events"
    assert request.headers["authorization"] == "Bearer secret"
    body = json.loads(request.content)
    assert body["regarding"] == {
        "apiVersion": "v1",
        "kind": "Service",
        "name": "web",
        "namespace": "shop",
        "uid": "u",
    }
    assert (body["type"], body["reason"], body["note"]) == (
        "Warning",
        "PoolExhausted",
        "no address is free",
    )
    assert body["eventTime"] == "2026-01-31T12:00:00.000000Z"


def test_the_same_words_are_said_once_in_ten_minutes(cluster):
    later = dataclasses.replace(EVENT, moment=EVENT.moment + dt.timedelta(minutes=9))
    again = dataclasses.replace(EVENT, moment=EVENT.moment + dt.timedelta(minutes=11))
    assert len(posted(cluster, [EVENT, later, again])) == 2


def test_words_that_differ_only_in_what_is_not_posted_are_the_same(cluster):
    long = [dataclasses.replace(EVENT, note="x" * events.MAX_NOTE + end) for end in "ab"]
    assert len(posted(cluster, long)) == 1


def test_other_words_or_another_object_are_said(cluster):
    other = dataclasses.replace(EVENT, note="another")
    elsewhere = dataclasses.replace(EVENT, uid="v")
    assert len(posted(cluster, [EVENT, other, elsewhere])) == 3


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_counted_and_ends_nothing(cluster, status):
    before = count("failed")
    other = dataclasses.replace(EVENT, note="another")
    assert len(posted(cluster, [EVENT, other], httpx.Response(status))) == 2
    assert count("failed") == before + 2


def test_an_event_that_another_replica_has_posted_is_no_failure(cluster):
    before = count("failed")
    posted(cluster, [EVENT], httpx.Response(409))
    assert count("failed") == before


def test_a_token_that_cannot_be_read_is_counted(cluster):
    cluster.token_file.unlink()
    before = count("failed")
    assert posted(cluster, [EVENT]) == []
    assert count("failed") == before + 1


def test_what_does_not_fit_is_dropped_and_counted(cluster):
    before = count("dropped")
    many = [dataclasses.replace(EVENT, uid=str(n)) for n in range(events.MAX_WAITING + 7)]

    async def record():
        events.Recorder(cluster).record(many)

    asyncio.run(record())
    assert count("dropped") == before + 7


def test_what_was_said_is_remembered_within_bounds(cluster):
    recorder = events.Recorder(None)
    recorder.record(
        dataclasses.replace(EVENT, uid=str(n)) for n in range(events.MAX_REMEMBERED + 10)
    )
    assert len(recorder._said) == events.MAX_REMEMBERED


def test_a_long_note_is_cut_to_what_the_api_takes():
    body = events.manifest(dataclasses.replace(EVENT, note="é" * 1000), instance="i")
    assert len(body["note"].encode()) <= events.MAX_NOTE


def test_an_event_about_an_object_without_namespace_is_kept_in_default():
    body = events.manifest(dataclasses.replace(EVENT, namespace=""), instance="i")
    assert body["metadata"]["namespace"] == "default"
    assert "namespace" not in body["regarding"]


def test_without_a_cluster_there_is_nowhere_to_post(monkeypatch, tmp_path):
    monkeypatch.setattr(events, "SERVICE_ACCOUNT", tmp_path)
    assert events.find_cluster("", "", "", {}) is None
    assert events.find_cluster("", "", "", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


def test_in_a_pod_the_cluster_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(events, "SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "token").write_text("secret")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    found = events.find_cluster("", "", "", environment)
    assert found is not None
    assert found.url == "https://[fd00::1]:6443"
    assert found.token() == "secret"


def test_a_url_without_a_token_is_refused():
    with pytest.raises(errors.SettingsError, match="--kube-token-file"):
        events.find_cluster("https://api", "", "", {})
