# SPDX-License-Identifier: MIT
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from chart import readme

VALUES = readme.VALUES.read_text()
SCHEMA = json.loads((readme.CHART / "values.schema.json").read_text())
FREE = {"global"}  # Helm's own, for charts that have this one as a dependency


def described(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The paths that the schema knows, down to what it leaves open."""
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    for key, below in schema.get("properties", {}).items():
        where = f"{path}.{key}" if path else key
        yield where
        yield from described(below, where)


def test_the_readme_has_the_table_of_the_values_as_they_are():
    text = readme.README.read_text()

    assert readme.renewed(text, VALUES) == text


def test_every_value_with_a_comment_is_a_row():
    rows = list(
        readme.values("# One.\na: 1\nb:\n  # Two\n  # lines.\n  c: [x]\n  # Three.\n  d: {}\n")
    )

    assert rows == [
        readme.Value("a", 1, "One."),
        readme.Value("b.c", ["x"], "Two lines."),
        readme.Value("b.d", {}, "Three."),
    ]


def test_what_lies_below_a_value_with_a_comment_is_part_of_it():
    rows = list(readme.values("# One.\na:\n  b: 1\n  c: 2\n# Two.\nd: 3\n"))

    assert rows == [readme.Value("a", {"b": 1, "c": 2}, "One."), readme.Value("d", 3, "Two.")]


def test_a_value_without_a_comment_is_named():
    with pytest.raises(readme.ValuesError, match=r"^a\.c has no comment above it"):
        list(readme.values("a:\n  # One.\n  b: 1\n  c: 2\n"))


def test_the_schema_knows_every_value_and_no_other():
    documented = {value.path for value in readme.values(VALUES)}
    known = set(described(SCHEMA)) - FREE

    assert documented <= known
    for path in known:
        assert any(
            f"{value}.".startswith(f"{path}.") or path.startswith(f"{value}.")
            for value in documented
        ), path
