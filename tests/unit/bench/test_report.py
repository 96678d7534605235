# SPDX-License-Identifier: MIT
import json

import pytest

from bench import results
from bench.common import report, table


def row(*samples: float, more_is_better: bool = False, bars: tuple[report.Bar, ...] = ()):
    return report.Row("gap", "somebody", "s", samples, bars, more_is_better)


def test_the_worst_sample_is_the_one_on_the_bad_side():
    assert row(1, 5, 3).worst == 5
    assert row(1, 5, 3, more_is_better=True).worst == 1


@pytest.mark.parametrize(
    ("bars", "verdict"),
    [
        ((), ""),
        ((report.Bar("median", 3),), "met"),
        ((report.Bar("median", 3), report.Bar("worst", 4)), "missed"),
        ((report.Bar("median", 3, at_least=True),), "met"),
        ((report.Bar("median", 4, at_least=True),), "missed"),
    ],
)
def test_a_row_is_judged_by_all_its_bars(bars: tuple[report.Bar, ...], verdict: str):
    assert row(1, 5, 3, bars=bars).verdict == verdict


def test_a_bar_is_not_met_by_nothing():
    assert row(bars=(report.Bar("worst", 0),)).verdict == "missed"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.22512, "0.2251"), (5.7095, "5.71"), (33795.4, "33,795"), (-0.1355, "-0.1355")],
)
def test_numbers_are_written_with_four_digits(value: float, text: str):
    assert report.number(value) == text


def test_who_could_not_be_measured_says_why_in_its_line():
    assert "not installed" in report.table([report.Row.missing("gap", "rival", "not installed")])


def test_the_page_says_first_where_others_are_better_and_then_what_was_missed(tmp_path):
    ours = "l2-load-balancer"
    rows = [
        report.Row("gap", ours, "s", (0.3,), (report.Bar("worst", 0.2),)),
        report.Row("gap", "rival", "s", (0.1,)),
        report.Row("lost", ours, "", (0,), (report.Bar("worst", 0),)),
        report.Row("lost", "rival", "", (7,)),
    ]
    document = {
        "scenario": "share",
        "measures": "What is lost.",
        "command": "python -m bench share",
        "quick": False,
        "nodes": 6,
        "metacontroller": "the real one, v4.14.0 (/somewhere/metacontroller)",
        "when": "2026-01-31 12:00",
        "seconds": 1,
        "machine": {"cores": 2, "processor": "one", "kernel": "6", "python": "3"},
        "load_before": (0.0, 0.0, 0.0),
        "load_after": (0.0, 0.0, 0.0),
        "busy_percent": 1.0,
        "rows": [row.document() for row in rows],
    }
    (tmp_path / "share.json").write_text(json.dumps(document))
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    better, bars = text.index("## Where others are better"), text.index("## Our bars")
    assert better < text.index("| share | gap | rival | 0.1 s | 0.3 s |") < bars
    assert bars < text.index("| missed |") < text.index("| met |")
    assert "/somewhere" not in text


def test_a_folder_without_results_makes_no_page(tmp_path):
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 2
    assert not page.exists()


def test_a_bench_outside_of_a_lab_has_its_table_and_its_bars_on_the_page(tmp_path):
    rows = [
        table.judged({"row": "small", "p50_ms": 0.2}, {"p50_ms": 0.3}),
        table.judged({"row": "large", "p50_ms": 300.0}, {"p50_ms": 250.0}),
        table.judged({"row": "memory", "all_mb": 200}, {}),
    ]
    table.write(tmp_path / "hooks.json", "hooks", "How long the hooks take.", rows)
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    missed = text.index("| hooks | large | p50_ms <= 250 | missed |")
    assert missed < text.index("| hooks | small | p50_ms <= 0.3 | met |") < text.index("## hooks")
    assert "| memory |  |  |  | 200 |" in text
