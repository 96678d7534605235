# SPDX-License-Identifier: MIT
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import growth, results, share, spread
from bench.common import report, table

OURS, RIVAL = "l2-load-balancer", "rival"


def write(folder: Path, scenario: str, rows: Sequence[report.Row]) -> None:
    document = {
        "scenario": scenario,
        "measures": "What is lost.",
        "command": f"python -m lab run --nodes 6 -- python -m bench {scenario}",
        "revision": "abc1234+changes",
        "quick": False,
        "nodes": 6,
        "metacontroller": "the real one, v4.14.0",
        "when": "2026-01-31 12:00",
        "seconds": 1,
        "machine": {"cores": 2, "processor": "one", "kernel": "6", "python": "3"},
        "load_before": (0.0, 0.0, 0.0),
        "load_after": (0.0, 0.0, 0.0),
        "busy_percent": 1.0,
        "rows": [row.document() for row in rows],
    }
    (folder / f"{scenario}.json").write_text(json.dumps(document))


def test_the_page_says_first_where_others_are_better_and_then_what_was_missed(tmp_path):
    rows = [
        report.Row("gap", OURS, "s", (0.3,), (report.Bar("worst", 0.2),)),
        report.Row("gap", RIVAL, "s", (0.1,)),
        report.Row("lost", OURS, "", (0,), (report.Bar("worst", 0),)),
        report.Row("lost", RIVAL, "", (7,)),
        report.Row.missing("lost", "nobody", "it is not installed"),
    ]
    write(tmp_path, "calm", rows)
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    better, bars = text.index("## Where others are better"), text.index("## Our bars")
    assert better < text.index("| calm | gap | rival | 0.1 s | 0.3 s |") < bars
    assert bars < text.index("| missed |") < text.index("| met |")
    assert "not measured: it is not installed" in text
    assert "`python -m lab run --nodes 6 -- python -m bench calm` at abc1234+changes" in text


def test_a_scenario_measured_in_two_ways_has_two_names(tmp_path):
    row = report.Row("first answer", OURS, "ms", (90,), (report.Bar("median", 80),))
    write(tmp_path, "announce", [row])
    (tmp_path / "announce.json").rename(tmp_path / "announce-off.json")
    write(tmp_path, "announce", [row])
    page = tmp_path / "page.md"
    results.main([str(tmp_path), "--page", str(page)])
    text = page.read_text()
    for name in ("announce", "announce-off"):
        assert f"## {name}\n" in text
        assert f"| {name} | first answer | 1 | 90 ms | 90 ms | median <= 80 | missed |" in text


@pytest.mark.parametrize(
    ("row", "listed"),
    [
        (report.Row("gap", RIVAL, "s", (0.0223,)), False),  # chance
        (report.Row("gap", RIVAL, "s", (0.015,), resolution=0.02), False),
        (report.Row("gap", RIVAL, "s", (0.015,)), True),
        (report.Row("gap", RIVAL, "s", (0.023,), more_is_better=True), False),
        (report.Row("gap", RIVAL, "s", (0.03,), more_is_better=True), True),
    ],
)
def test_who_is_better_by_chance_is_not_listed(tmp_path, row, listed):
    own = report.Row("gap", OURS, "s", (0.02235,), more_is_better=row.more_is_better)
    write(tmp_path, "calm", [own, row])
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    assert (f"| calm | gap | {RIVAL} |" in page.read_text()) == listed


def test_a_section_says_where_most_samples_lie(tmp_path):
    write(tmp_path, "calm", [report.Row("gap", OURS, "s", tuple(map(float, range(11))))])
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    assert f"| gap | {OURS} | 11 | 5 s | 1 to 9 | 10 s |  |  |" in page.read_text()


def test_a_note_stands_where_somebody_is_better_too(tmp_path):
    rows = [
        report.Row("gap", OURS, "s", (0.3,)),
        report.Row("gap", RIVAL, "s", (0.1,), note="it does nothing"),
    ]
    write(tmp_path, "calm", rows)
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    assert page.read_text().count("- rival, gap: it does nothing\n") == 2


def test_what_cannot_be_told_from_nothing_is_not_given_as_a_number(tmp_path):
    rows = [
        report.Row("cost", OURS, "us", (0.323, 0.4), resolution=0.1),
        report.Row("cost", RIVAL, "us", (-0.0305, -0.0305, 0.4), resolution=0.1),
    ]
    write(tmp_path, "noise", rows)
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    assert f"| noise | cost | {RIVAL} | below 0.1 us | 0.3615 us |" in page.read_text()
    write(tmp_path, "noise", [report.Row("cost", OURS, "us", (-0.2, -0.2, 0.4), resolution=0.1)])
    results.main([str(tmp_path), "--page", str(page)])
    assert "below 0.2 us" in page.read_text()


def test_a_section_leads_to_the_samples_that_it_is_made_of(tmp_path):
    folder = tmp_path / "benchmarks"
    table.write(folder / "hooks.json", "hooks", "How long the hooks take.", [{"row": "small"}])
    write(folder, "calm", [report.Row("gap", OURS, "s", (0.3,))])
    page = tmp_path / "page.md"
    assert results.main([str(folder), "--page", str(page)]) == 0
    assert "[all samples](benchmarks/calm.json)" in page.read_text()
    assert "[all numbers](benchmarks/hooks.json)" in page.read_text()


def test_a_scenario_without_numbers_is_named(tmp_path):
    write(tmp_path, "calm", [report.Row("gap", OURS, "s", (0.3,))])
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    for name in (*results.ORDER, *results.TABLES):
        assert (f"- {name}: not measured\n" in text) == (name != "calm")


PICTURED = {
    "failover": [
        report.Row("cable cut: gap", OURS, "s", (0.2, 0.3)),
        report.Row("cable cut: gap", RIVAL, "s", (5.0, 6.0)),
    ],
    "share": [
        report.Row(f"{share.HIT}5 addresses", OURS, "%", (20.0, 21.0)),
        report.Row(f"{share.HIT}1 address", RIVAL, "%", (100.0,)),
    ],
    "spread": [
        report.Row(spread.row_name(4, cut), who, "", loads)
        for cut, loads in (
            ((), (1.0, 1.0, 1.0, 1.0)),
            (("node-1",), (2.0, 1.0, 1.0)),
            (("node-1", "node-2"), (2.0, 2.0)),
        )
        for who in (OURS, RIVAL)
    ],
    "growth": [
        report.Row(growth.row_name(size), who, "ms", (ms, ms + 1.0))
        for size in (0, 100)
        for who, ms in ((OURS, 90.0), (RIVAL, 30.0))
    ],
}


@pytest.mark.parametrize("name", PICTURED)
def test_a_scenario_has_its_picture_in_its_section(tmp_path, name):
    write(tmp_path, name, PICTURED[name])
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    _, _, section = page.read_text().partition(f"## {name}\n")
    assert f"({name}.svg)" in section
    words = "".join(ET.parse(tmp_path / f"{name}.svg").getroot().itertext())
    assert OURS in words
    assert RIVAL in words


@pytest.mark.parametrize("name", PICTURED)
def test_where_nobody_was_measured_there_is_no_picture(tmp_path, name):
    write(tmp_path, name, [report.Row.missing("gap", OURS, "left out")])
    page = tmp_path / "page.md"
    assert results.main([str(tmp_path), "--page", str(page)]) == 0
    assert "svg" not in page.read_text()


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
