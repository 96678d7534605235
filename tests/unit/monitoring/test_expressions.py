# SPDX-License-Identifier: MIT
"""Alerts and panels speak of series that there are, and each alert has its runbook."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.unit.monitoring import declared, promql

ROOT = pathlib.Path(__file__).parents[3]
RULES = yaml.safe_load((ROOT / "chart" / "alerts" / "l2lb.yaml").read_text())
DASHBOARD = json.loads((ROOT / "chart" / "dashboards" / "l2lb.json").read_text())
RUNBOOKS = ROOT / "docs" / "runbooks"
PARTS = ["What it means", "What users feel", "How to look", "What to do"]


def alerts() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def panels() -> Iterator[tuple[str, str]]:
    """Title and expression of each query, with Grafana's variables as it would fill them in."""
    queries = [(panel["title"], q["expr"]) for panel in found() for q in panel.get("targets", [])]
    queries += [(each["name"], each["expr"]) for each in DASHBOARD["annotations"]["list"]]
    for title, expression in queries:
        filled = expression.replace("$__rate_interval", "5m").replace("$node", ".*")
        assert "$" not in filled, f"{title}: {expression}"
        yield title, filled


def found() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    return panels


EXPRESSIONS = [
    *((rule["alert"], rule["expr"]) for rule in alerts()),
    *panels(),
]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_an_expression_names_series_and_labels_that_there_are(title: str, expression: str) -> None:
    named = promql.read(expression)
    known = declared.series()

    assert named.metrics
    for metric, labels in named.metrics.items():
        assert metric in known, f"{title}: nothing declares {metric}"
        assert labels <= known[metric], f"{title}: {metric} has no {labels - known[metric]}"
    assert named.grouped <= set().union(*(known[metric] for metric in named.metrics)), title


@pytest.mark.parametrize(
    ("expression", "metrics", "grouped"),
    [
        ('a{b="}", c!~"x"} > 0', {"a": {"b", "c"}}, set()),
        ("sum by (x, y) (rate(a_total[5m])) / on (z) b", {"a_total": set(), "b": set()}, "xyz"),
        ("absent(up) or vector(0)", {"up": set()}, set()),
        ("count(a) by (x) unless b", {"a": set(), "b": set()}, "x"),
    ],
)
def test_the_reader_of_expressions_finds_metrics_and_labels(
    expression: str, metrics: dict[str, set[str]], grouped: str
) -> None:
    named = promql.read(expression)
    assert named.metrics == metrics
    assert named.grouped == set(grouped)


def test_a_dashboard_filters_by_a_label_of_the_speakers() -> None:
    [query] = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]

    match = re.fullmatch(r"label_values\((\w+), (\w+)\)", query["definition"])

    assert match is not None
    assert match[2] in declared.series()[match[1]]


def test_panels_do_not_overlap_and_have_names_of_their_own() -> None:
    places = [
        (x, y)
        for panel in found()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in found()}) == len(found())
    assert all(panel["description"] for panel in found() if panel["type"] != "row")


@pytest.mark.parametrize("rule", list(alerts()), ids=lambda rule: rule["alert"])
def test_an_alert_has_a_severity_sentences_and_a_runbook_in_four_parts(
    rule: dict[str, Any],
) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")
    text = (RUNBOOKS / f"{rule['alert']}.md").read_text()
    assert text.startswith(f"# {rule['alert']}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS


def test_every_runbook_is_of_an_alert() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"}

    assert pages == {rule["alert"] for rule in alerts()}
