# SPDX-License-Identifier: MIT
"""The metrics and labels that an expression names, as far as our rules and panels use PromQL."""

import dataclasses
import re
from collections.abc import Iterator

TOKEN = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<range>\[[^\]]*\])
    | (?P<name>[a-zA-Z_:][\w:]*)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^(){},<>=])
    | (?P<space>\s+)
    """,
    re.VERBOSE,
)
SETS = {"and", "or", "unless"}
WITH_LABELS = {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclasses.dataclass(frozen=True)
class Named:
    """Metrics with the labels that their selectors name, and all labels that are grouped by."""

    metrics: dict[str, set[str]]
    grouped: set[str]


def read(expression: str) -> Named:
    """Raise ValueError for what is no PromQL that we know."""
    tokens = list(_tokens(expression))
    named = Named({}, set())
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if kind != "name" or text in SETS:
            continue
        if text in WITH_LABELS:
            at, labels = _until(tokens, at, ")")
            named.grouped.update(labels)
        elif following != "(" and following not in WITH_LABELS:
            found = named.metrics.setdefault(text, set())
            if following == "{":
                at, labels = _until(tokens, at, "}")
                found.update(labels)
    return named


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"{expression[at:]!r} in {expression!r}")
        at = match.end()
        if match.lastgroup not in {"space", None}:
            yield str(match.lastgroup), match.group()


def _until(tokens: list[tuple[str, str]], at: int, end: str) -> tuple[int, list[str]]:
    labels = []
    while tokens[at][1] != end:
        kind, text = tokens[at]
        if kind == "name":
            labels.append(text)
        at += 1
    return at + 1, labels
