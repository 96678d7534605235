# SPDX-License-Identifier: MIT
import pytest

from docs import generate


def test_the_reference_is_what_the_code_says():
    made = generate.pages()
    there = {path.name: path.read_text() for path in generate.REFERENCE.iterdir()}

    assert made == there, "run 'python -m docs.generate'"


def test_every_field_of_the_spec_is_explained():
    rows = [line for line in generate.pages()["crd.md"].splitlines() if line.startswith("| `spec.")]

    assert len(rows) >= 8
    for row in rows:
        assert row.split("|")[4].strip(), f"no description: {row}"


def test_a_name_without_a_sentence_is_refused():
    with pytest.raises(generate.TextsError, match="no sentence for new: write one"):
        generate._agree(["known", "new"], {"known": "What it is."})


def test_a_sentence_about_nothing_is_refused():
    with pytest.raises(generate.TextsError, match="speaks of gone"):
        generate._agree(["known"], {"known": "What it is.", "gone": "What it was."})


def test_nested_fields_have_rows_of_their_own():
    schema = {
        "required": ["nodes"],
        "properties": {
            "nodes": {
                "type": "array",
                "maxItems": 3,
                "description": "All\nnodes.",
                "items": {
                    "type": "object",
                    "properties": {"name": {"type": "string", "default": "a"}},
                },
            },
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }

    assert [list(row) for row in generate.fields(schema, "spec")] == [
        ["`spec.nodes`", "list of objects", "required", "All nodes. At most 3 entries."],
        ["`spec.nodes[].name`", "string", "`a`", ""],
        ["`spec.labels`", "map of strings", "", ""],
    ]


def test_a_bar_does_not_end_a_cell():
    assert generate.table(["a"], [["1|2"]]) == "| a |\n| --- |\n| 1\\|2 |\n"
