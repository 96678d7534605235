# SPDX-License-Identifier: MIT
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi import checks

from app import application
from app.hooks import table

PATHS = [hook.path for hook in table.HOOKS]
schema = schemathesis.openapi.from_asgi("/openapi.json", application.create())


@schema.include(method="POST").parametrize()
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
def test_any_body_gets_an_answer_that_the_document_describes(case):
    response = case.call()
    case.validate_response(
        response,
        checks=[
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )
    # 503 is right for half of a picture, which a schema cannot describe; 500 never is.
    assert response.status_code in {200, 400, 405, 422, 503}


@pytest.mark.parametrize("path", PATHS)
def test_each_hook_documents_an_example_that_it_answers(hooks, path):
    document = hooks.get("/openapi.json").json()
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    response = hooks.post(path.removeprefix("/hooks/"), body["example"])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", PATHS)
def test_each_hook_refuses_get(hooks, path):
    assert hooks.get(path).status_code == 405


def test_the_documentation_pages_are_served(hooks):
    assert "swagger" in hooks.get("/docs").text.lower()


def test_health_readiness_and_metrics_answer(hooks):
    assert hooks.get("/healthz").json() == {"status": "ok"}
    assert hooks.get("/readyz").status_code == 200
    metrics = hooks.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "l2lb_hook_calls_total" in metrics.text
