# SPDX-License-Identifier: MIT
"""`python -m chart.readme`: writes the table of values in README.md anew from values.yaml."""

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parent
VALUES: Final = CHART / "values.yaml"
README: Final = CHART / "README.md"
BEGIN: Final = "<!-- values: made by 'python -m chart.readme' -->\n"
END: Final = "<!-- /values -->\n"
_LINE: Final = re.compile(r"(?P<indent> *)(?:# (?P<comment>.*)|(?P<key>[A-Za-z]+):(?: .*)?)")


class ValuesError(Exception):
    """values.yaml has a value without a sentence above it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """A row of the table: a value's path, what it is by default, and its sentence."""

    path: str
    default: Any
    text: str


def values(text: str) -> Iterator[Value]:
    """Yield the values of a values.yaml, each with the comment above it.

    What lies below a value with a comment is part of it. Raises ValuesError for a value that no
    comment covers.
    """
    tree = yaml.safe_load(text)
    parents: list[tuple[int, str]] = []
    covered: int | None = None  # the indentation of the value that the lines belong to
    comment: list[str] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            comment.clear()
            continue
        if match["comment"] is not None:
            comment.append(match["comment"])
            continue
        indent = len(match["indent"])
        if covered is not None and indent > covered:
            continue
        covered = None
        parents = [(depth, key) for depth, key in parents if depth < indent]
        parents.append((indent, match["key"]))
        keys = [key for _, key in parents]
        default = _at(tree, keys)
        if comment:
            covered = indent
            yield Value(".".join(keys), default, " ".join(comment))
        elif not isinstance(default, dict):
            raise ValuesError(f"{'.'.join(keys)} has no comment above it that says what it is for")
        comment.clear()


def table(text: str) -> str:
    """Return the table of values as Markdown."""
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.text} |"
        for value in values(text)
    ]
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows, ""])


def renewed(readme: str, text: str) -> str:
    """Return the README with its table made anew."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(text)}{END}{after}"


def _at(tree: Any, keys: list[str]) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def main() -> int:
    """Write README.md."""
    new = renewed(README.read_text(encoding="utf-8"), VALUES.read_text(encoding="utf-8"))
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
