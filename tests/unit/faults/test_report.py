# SPDX-License-Identifier: MIT
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults import matrix, report


@pytest.fixture
def result() -> dict[str, Any]:
    return {
        "when": "2026-11-23 16:00",
        "load": 1.0,
        "cores": 2,
        "metacontroller": "the real one (/somewhere/metacontroller)",
        "gap_s": 0.28,
        "failed": 5,
        "failed_elsewhere": 0,
        "silent_s": 0.22,
        "silent_elsewhere_s": 0.02,
        "doubled_s": 0.121,
        "wire_right_s": 1.3,
        "right_s": 2.9,
        "holders": {"10.77.0.130": ["node-1", "node-4", "node-1"], "fd77::1000": ["node-2"]},
        "excused": [],
        "broken": [],
    }


def test_the_page_names_exactly_the_rows_that_exist() -> None:
    assert report.faults_of(report.PAGE.read_text(encoding="utf-8")) == [
        row.fault for row in matrix.rows()
    ]


def test_every_row_has_a_file_of_its_own() -> None:
    slugs = [row.slug for row in matrix.rows()]
    assert len(set(slugs)) == len(slugs)


def test_a_row_says_what_was_measured_and_who_held_the_address(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    text = report.page([row], {row.slug: result}, None)
    assert report.faults_of(text) == [row.fault]
    assert "| 0.28 | 5 | 0 | 0.22 | 0.02 | 0.12 | 1.3 | 2.9 | 1 → 4 → 1 | yes |" in text
    assert "1 of 1 rows kept" in text
    assert "somewhere" not in text


def test_a_row_that_strikes_no_node_has_nothing_to_say_of_one(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    calm = result | {"gap_s": None, "silent_s": None}
    text = report.page([row], {row.slug: calm}, None)
    assert "|  |  | 0 |  | 0.02 | 0.12 |" in text


def test_a_row_says_how_long_nobody_may_answer_where_that_is_not_as_usual(
    result: dict[str, Any],
) -> None:
    row = matrix.Row(
        "a fault",
        "a",
        "b",
        doubled_s=60.0,
        two="so it is",
        silent_s=4.0,
        silent_elsewhere_s=8.0,
        group="node",
    )
    usual = matrix.Row("another", "a", "b", group="node")
    text = report.page([row, usual], {row.slug: result}, None)
    assert "- a fault: two may answer for 60 s: so it is.\n" in text
    assert "- a fault: nobody may answer for 4 s.\n" in text
    assert "- a fault: nobody may answer for 8 s, though no node is struck.\n" in text
    assert "- another" not in text


def test_a_row_in_which_speakers_start_anew_says_from_when_silence_counts(
    result: dict[str, Any],
) -> None:
    row = matrix.Row("a fault", "a", "b", silent_s=4.0, starts=True, group="node")
    anew = "nobody may answer for 4 s from when the first speaker has started that stays up"
    assert f"- a fault: {anew}.\n" in report.page([row], {row.slug: result}, None)
    text = report.page([row], {row.slug: result | {"started_s": 2.34}}, None)
    assert f"- a fault: {anew}, which was 2.3 s after the fault began.\n" in text


def test_a_row_that_was_not_kept_says_how(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    broken = result | {"broken": ["10.77.0.130 was answered by two nodes for 3 s"]}
    text = report.page([row], {row.slug: broken}, None)
    assert "| 10.77.0.130 was answered by two nodes for 3 s |" in text
    assert "0 of 1 rows kept" in text


def test_a_row_says_what_was_excused(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    excused = result | {"excused": ["2 changes of holder, while a speaker waited"]}
    text = report.page([row], {row.slug: excused}, None)
    assert "| yes; but 2 changes of holder, while a speaker waited |" in text


def test_a_row_that_ended_early_has_no_numbers_and_says_why(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    told = ("when", "load", "cores", "metacontroller", "excused")
    early = {key: result[key] for key in told} | {"broken": ["it ended early: a | b"]}
    text = report.page([row], {row.slug: early}, None)
    assert "|  | it ended early: a / b |" in text
    assert report.faults_of(text) == [row.fault]
    assert "0 of 1 rows kept" in text


def test_a_row_without_result_is_named_as_such(tmp_path: Path, result: dict[str, Any]) -> None:
    first, *others = matrix.rows()
    (tmp_path / f"{first.slug}.json").write_text(json.dumps(result))
    page = tmp_path / "page.md"
    assert report.main([str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    assert report.faults_of(text) == [row.fault for row in (first, *others)]
    assert text.count("| not run") == len(others)


def test_the_soak_says_how_to_do_it_again_and_what_was_wrong(result: dict[str, Any]) -> None:
    row = next(matrix.rows())
    soaked = {
        "seed": 7,
        "steps": 20,
        "minutes": 5.0,
        "doubled_s": 0.1,
        "metacontroller": "the real one (/somewhere/metacontroller)",
        "growth": {
            "webhook (12)": {
                "samples": 20,
                "resident_mb": 0.5,
                "files": -1.0,
                "first": {"resident_mb": 80.0, "files": 21},
                "last": {"resident_mb": 80.44, "files": 20},
            }
        },
        "wrong": ["fd77::1000: two nodes answered for 3 s"],
    }
    text = report.page([row], {row.slug: result}, soaked)
    assert "`python -m tests.e2e.soak --seed 7` does the same 20 steps again" in text
    assert "- fd77::1000: two nodes answered for 3 s\n" in text
    assert (
        "- webhook (12): 80.0 to 80.4 MB, 21 to 20 files; the line through 20 samples rises by "
        "+0.5 MB and -1 files\n"
    ) in text
    assert "somewhere" not in text
    assert report.faults_of(text) == [row.fault]


def test_without_any_result_the_page_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("as it was")
    assert report.main([str(tmp_path), "--page", str(page)]) == 2
    assert page.read_text() == "as it was"
