# SPDX-License-Identifier: MIT
import copy
import json

import pytest

from app import settings
from app.models import examples
from bench import requests

EXAMPLES = {
    "balancer/sync": examples.BALANCER_SYNC,
    "balancer/customize": examples.BALANCER_CUSTOMIZE,
    "service/sync": examples.SERVICE_SYNC,
    "service/customize": examples.SERVICE_CUSTOMIZE,
    "service-cleanup/sync": examples.SERVICE_CLEANUP_SYNC,
}
each_hook = pytest.mark.parametrize("path", EXAMPLES)


def error_of(response):
    body = response.json()
    assert set(body) == {"error"}
    sentence = body["error"]
    assert len(sentence) > 20
    return sentence


@each_hook
@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"a":1', b"\xff\xfe"])
def test_what_is_no_json_gets_400_and_a_sentence(hooks, path, body):
    response = hooks.post(path, body)
    assert response.status_code == 400
    assert "JSON" in error_of(response)


@each_hook
@pytest.mark.parametrize(
    "body", [b"1", b'"text"', b"null", b"[]", b"[{}]", b"true", b"{}", b"{} {}"]
)
def test_json_of_another_shape_gets_422_and_a_sentence(hooks, path, body):
    response = hooks.post(path, body)
    assert response.status_code == 422
    assert error_of(response)


@each_hook
def test_nesting_without_end_gets_400(hooks, path):
    assert hooks.post(path, b'{"parent":' + b"[" * 100_000).status_code == 400


@each_hook
def test_ten_megabytes_of_nonsense_are_refused_with_a_sentence(hooks, path):
    response = hooks.post(path, b'{"x":"' + b"y" * 10_000_000)
    assert response.status_code == 400
    assert len(error_of(response)) < 1000


@each_hook
def test_a_body_over_the_limit_gets_413_and_names_the_setting(make_hooks, path):
    hooks = make_hooks(settings.Settings(max_body_bytes=1000))
    response = hooks.post(path, b'{"x":"' + b"y" * 1000 + b'"}')
    assert response.status_code == 413
    assert "--max-body-bytes" in error_of(response)


def test_a_body_of_unknown_length_is_limited_too(make_hooks):
    hooks = make_hooks(settings.Settings(max_body_bytes=1000))

    async def endless():
        while True:
            yield b"x" * 100

    response = hooks.runner.run(hooks.client.post("/hooks/service/sync", content=endless()))
    assert response.status_code == 413


@each_hook
def test_fields_that_kubernetes_adds_one_day_change_nothing(hooks, path):
    def with_more(value):
        if isinstance(value, dict):
            return {key: with_more(one) for key, one in value.items()} | {"addedLater": {"a": [1]}}
        return value

    body = copy.deepcopy(EXAMPLES[path])
    known = hooks.post(path, body)
    assert known.status_code == 200
    for part in ("parent", "object"):
        if part in body:
            spec = body[part]["spec"]
            selectors = {key: spec.pop(key) for key in ("nodeSelector", "selector") if key in spec}
            notes = body[part]["metadata"].pop("annotations", None)
            labels = body[part]["metadata"].pop("labels", None)
            body[part] = with_more(body[part])
            body[part]["metadata"] |= {"annotations": notes} if notes else {}
            body[part]["metadata"] |= {"labels": labels} if labels else {}
            body[part]["spec"] |= selectors
    more = hooks.post(path, body)
    assert more.status_code == 200
    answer = more.json()
    if "status" in answer and "addedLater" in answer["status"]:
        del answer["status"]["addedLater"]  # a Service's status is echoed whole
        answer["status"]["loadBalancer"].pop("addedLater", None)
    assert answer == known.json()


@pytest.mark.parametrize("group", ["Service.v1", "Node.v1", "Namespace.v1", requests.BALANCERS])
def test_a_missing_group_of_related_objects_is_refused_by_name(hooks, group):
    body = copy.deepcopy(examples.BALANCER_SYNC)
    del body["related"][group]
    response = hooks.post("balancer/sync", body)
    assert response.status_code == 503
    assert group in error_of(response)
    assert 'hook="balancer_sync",outcome="refused"' in hooks.get("/metrics").text


def test_a_picture_without_the_balancer_itself_is_refused(hooks):
    body = copy.deepcopy(examples.BALANCER_SYNC)
    body["related"][requests.BALANCERS] = {}
    response = hooks.post("balancer/sync", body)
    assert response.status_code == 503
    assert "front" in error_of(response)


@pytest.mark.parametrize("part", ["parent", "children", "related"])
def test_a_missing_part_of_a_balancers_sync_is_named(hooks, part):
    body = {key: value for key, value in examples.BALANCER_SYNC.items() if key != part}
    response = hooks.post("balancer/sync", body)
    assert response.status_code == 422
    assert part in error_of(response)


def test_a_services_sync_without_its_children_is_refused(hooks):
    response = hooks.post("service/sync", examples.SERVICE_SYNC | {"related": {}})
    assert response.status_code == 503
    assert "Service.v1" in error_of(response)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("metadata", "name", ""),
        ("metadata", "uid", ""),
        ("metadata", "creationTimestamp", "yesterday"),
        ("spec", "addressPool", []),
        ("spec", "nodeSelector", {}),
        ("spec", "ipCount", 0),
        ("spec", "ipCount", "many"),
        ("spec", "failbackDelay", "soon"),
    ],
)
def test_a_balancer_that_the_schema_would_not_let_in_is_refused_by_field(hooks, path, field, value):
    body = copy.deepcopy(examples.BALANCER_SYNC)
    body["parent"][path][field] = value
    response = hooks.post("balancer/sync", body)
    assert response.status_code == 503
    assert field in error_of(response)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("path", ["service/sync", "balancer/sync"])
def test_numbers_that_json_does_not_know_get_400(hooks, path, number):
    body = json.dumps(EXAMPLES[path]).replace('"port": 80', f'"port": {number}')
    assert hooks.post(path, body.encode()).status_code == 400


def test_a_number_beyond_all_bounds_costs_its_object_only(hooks):
    body = json.dumps(examples.SERVICE_SYNC).replace('"port": 80', '"port": 1e999')
    assert hooks.post("service/sync", body.encode()).status_code == 422
    body = json.dumps(examples.BALANCER_SYNC).replace('"port": 80', '"port": 1e999')
    response = hooks.post("balancer/sync", body.encode())
    assert response.status_code == 200
    assert "ObjectsLeftAlone" in response.text


@pytest.mark.parametrize(
    "status",
    [
        {"loadBalancer": 3},
        {"loadBalancer": {"ingress": 3}},
        {"loadBalancer": {"ingress": [3, {"ip": 4}, {"ip": "x"}, {"hostname": "h"}]}},
        {"conditions": [3, {"type": 4}, {}]},
        {"conditions": [{"type": "l2lb.io/Assigned", "message": 3, "lastTransitionTime": 4}]},
    ],
)
def test_an_odd_status_is_never_a_500(hooks, status):
    body = copy.deepcopy(examples.SERVICE_SYNC)
    body["object"]["status"] = status
    for path in ("service/sync", "service-cleanup/sync"):
        assert hooks.post(path, body).status_code in {200, 422}


def test_an_unexpected_failure_is_a_500_with_a_sentence_and_is_counted(hooks, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the disk is made of cheese")

    monkeypatch.setattr("app.balancer.answer.decide", fail)
    response = hooks.post("balancer/sync", examples.BALANCER_SYNC)
    assert response.status_code == 500
    assert "the disk is made of cheese" in error_of(response)
    assert 'hook="balancer_sync",outcome="failed"' in hooks.get("/metrics").text
