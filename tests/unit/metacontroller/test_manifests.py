# SPDX-License-Identifier: MIT
"""The manifests say what the programs say."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from app.balancer import status
from app.hooks import table
from app.placement import model
from contract import names
from lab.api import Json
from lab.metacontroller import spec

MANIFESTS = Path(__file__).resolve().parents[3] / "metacontroller"


def read(name: str) -> Json:
    found: Json = yaml.safe_load((MANIFESTS / name).read_text())
    return found


@pytest.fixture
def balancer() -> spec.Composite:
    return spec.composite(read("balancer.yaml"))


@pytest.fixture
def service() -> spec.Decorator:
    return spec.decorator(read("service.yaml"))


@pytest.fixture
def cleanup() -> spec.Decorator:
    return spec.decorator(read("service-cleanup.yaml"))


@pytest.fixture
def version() -> Json:
    (found,) = read("crd.yaml")["spec"]["versions"]
    schema: Json = found
    return schema


def test_every_manifest_is_applied() -> None:
    files = {path.name for path in MANIFESTS.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(read("kustomization.yaml")["resources"]) == files


def test_each_hook_of_the_webhook_is_called_by_one_controller(
    balancer: spec.Composite, service: spec.Decorator, cleanup: spec.Decorator
) -> None:
    specs = [balancer.sync, balancer.customize, service.sync, service.customize, cleanup.sync]
    urls = [urlsplit(found.url) for found in specs if found is not None]
    assert cleanup.customize is None
    assert sorted(url.path for url in urls) == sorted(hook.path for hook in table.HOOKS)
    # Metacontroller's own form of a Service's name, which a certificate has to carry.
    assert {(url.scheme, url.netloc) for url in urls} == {("http", "l2lb-webhook.l2lb-system")}


def test_the_crd_has_the_names_of_the_contract(version: Json) -> None:
    crd = read("crd.yaml")
    assert crd["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert (crd["spec"]["group"], version["name"]) == (names.GROUP, names.VERSION)
    assert (crd["spec"]["names"]["kind"], crd["spec"]["names"]["plural"]) == (
        names.KIND,
        names.PLURAL,
    )


def test_the_crd_has_the_limits_of_the_programs(version: Json) -> None:
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    (rule,) = schema["spec"]["properties"]["ipCount"]["x-kubernetes-validations"]
    assert f"self <= {names.MAX_IP_COUNT} : self == {names.AUTO!r}" in rule["rule"].replace(
        '"', "'"
    )
    limits = schema["status"]["properties"]
    assert limits["nodes"]["maxItems"] >= status.MAX_NODES
    assert limits["quarantined"]["maxItems"] >= model.MAX_QUARANTINED


def test_metacontroller_writes_a_field_into_the_status_that_the_crd_must_know(
    version: Json,
) -> None:
    fields = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    assert "observedGeneration" in fields
    assert "status" in version["subresources"]


def test_a_balancer_does_not_wake_itself_by_its_status(balancer: spec.Composite) -> None:
    assert balancer.ignore_status_changes
    assert balancer.parent_api_version == names.API_VERSION
    assert balancer.parent_plural == names.PLURAL
    assert balancer.children == (("v1", "services"),)


def test_a_service_is_never_a_matter_of_both_decorators(
    service: spec.Decorator, cleanup: spec.Decorator
) -> None:
    key = names.SERVICE_BALANCER
    cases = [({}, {}), ({key: "a"}, {}), ({}, {key: "a"}), ({key: "a"}, {key: "a"})]
    found = [
        [
            decorator.name
            for decorator in (service, cleanup)
            if decorator.label_selector.matches(labels)
            and decorator.annotation_selector.matches(annotations)
        ]
        for labels, annotations in cases
    ]
    assert found == [[], ["l2lb-service-cleanup"], ["l2lb-service"], ["l2lb-service"]]


def test_after_an_outage_of_the_webhook_all_is_right_within_30_seconds(
    balancer: spec.Composite, service: spec.Decorator, cleanup: spec.Decorator
) -> None:
    for controller in (balancer, service, cleanup):
        assert controller.resync_period_s is not None
        assert controller.resync_period_s < 30
