# SPDX-License-Identifier: MIT
import copy
from typing import Any

import pytest

from lab.api import Json
from lab.metacontroller import spec
from lab.metacontroller.errors import UnsupportedError

HOOK = {"version": "v2", "webhook": {"url": "http://hooks.example/sync"}}


def composite(**changes: Any) -> Json:
    whole = {
        "generateSelector": True,
        "parentResource": {"apiVersion": "l2lb.io/v1alpha1", "resource": "l2loadbalancers"},
        "childResources": [
            {"apiVersion": "v1", "resource": "services", "updateStrategy": {"method": "InPlace"}}
        ],
        "hooks": {"sync": HOOK},
        **changes,
    }
    return {"metadata": {"name": "balancer"}, "spec": copy.deepcopy(whole)}


def decorator(**changes: Any) -> Json:
    whole = {
        "resources": [{"apiVersion": "v1", "resource": "services"}],
        "hooks": {"sync": HOOK},
        **changes,
    }
    return {"metadata": {"name": "service"}, "spec": copy.deepcopy(whole)}


def with_webhook(**webhook: Any) -> Json:
    return composite(hooks={"sync": {"version": "v2", "webhook": webhook}})


def test_what_is_left_out_is_metacontrollers_default() -> None:
    read = spec.composite(composite())
    assert read.sync == spec.HookSpec("http://hooks.example/sync", 10.0)
    assert read.customize is None
    assert read.resync_period_s is None
    assert not read.ignore_status_changes
    assert read.parent_selector.matches({})


def test_a_service_and_a_path_make_a_url_without_svc() -> None:
    service: Json = {"name": "webhook", "namespace": "l2lb"}
    read = spec.composite(with_webhook(service=service, path="/sync"))
    assert read.sync.url == "http://webhook.l2lb:80/sync"
    service = {**service, "port": 8443, "protocol": "https"}
    read = spec.composite(with_webhook(service=service, path="/sync"))
    assert read.sync.url == "https://webhook.l2lb:8443/sync"


def test_an_authority_is_a_key_of_a_secret() -> None:
    reference = {"namespace": "l2lb", "name": "tls", "key": "ca.crt"}
    read = spec.composite(with_webhook(url="https://a", caBundle={"secretRef": reference}))
    assert read.sync.authority == spec.SecretKey("l2lb", "tls", "ca.crt")


@pytest.mark.parametrize(
    ("timeout", "seconds"), [("3s", 3.0), ("1m30s", 90.0), ("500ms", 0.5), ("0s", 10.0)]
)
def test_a_timeout_is_read(timeout: str, seconds: float) -> None:
    read = spec.composite(with_webhook(url="http://hooks.example", timeout=timeout))
    assert read.sync.timeout_s == pytest.approx(seconds)


def test_a_resync_is_no_more_often_than_each_second() -> None:
    assert spec.decorator(decorator(resyncPeriodSeconds=0)).resync_period_s == 1.0


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (composite(generateSelector=False), "generateSelector must be true"),
        (composite(hooks={}), r"hooks\.sync is missing"),
        (composite(hooks={"sync": HOOK, "finalize": HOOK}), r"hooks\.finalize is nothing"),
        (composite(hooks={"sync": {**HOOK, "version": "v1"}}), "must be v2"),
        (composite(endpointConfigs=[{"host": "a"}]), "endpointConfigs is nothing"),
        (
            composite(childResources=[{"apiVersion": "v1", "resource": "services"}]),
            "needs the updateStrategy InPlace",
        ),
        (with_webhook(), "needs a url"),
        (with_webhook(url="http://a", timeout="soon"), "write it like 10s"),
        (with_webhook(url="https://a", caBundle={"inline": "A"}), r"caBundle\.inline is nothing"),
        (with_webhook(url="https://a", clientTLS={"a": "b"}), r"webhook\.clientTLS is nothing"),
    ],
)
def test_a_composite_controller_beyond_the_stand_in_is_refused(
    source: Json, complaint: str
) -> None:
    with pytest.raises(UnsupportedError, match=complaint):
        spec.composite(source)


SERVICES = {"apiVersion": "v1", "resource": "services"}


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (decorator(resources=[SERVICES, SERVICES]), "has 2 entries"),
        (decorator(attachments=[SERVICES]), "attachments is nothing"),
        (
            decorator(
                resources=[
                    {**SERVICES, "labelSelector": {"matchExpressions": [{"key": "a"}]}},
                ]
            ),
            "the labelSelector for services",
        ),
    ],
)
def test_a_decorator_controller_beyond_the_stand_in_is_refused(
    source: Json, complaint: str
) -> None:
    with pytest.raises(UnsupportedError, match=complaint):
        spec.decorator(source)
