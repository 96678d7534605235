# SPDX-License-Identifier: MIT
"""One sentence of a check, and how bad it is."""

import dataclasses
import enum


class Verdict(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    UNKNOWN = "unknown"  # it could not be seen
    WARNING = "warning"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a subject; the sentence of a warning or failure names the remedy."""

    subject: str
    verdict: Verdict
    sentence: str


def passed(subject: str, sentence: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(subject, Verdict.PASSED, sentence)


def unknown(subject: str, sentence: str) -> Finding:
    """Return a finding that something could not be seen."""
    return Finding(subject, Verdict.UNKNOWN, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """Return a finding that something will be worse than it need be."""
    return Finding(subject, Verdict.WARNING, sentence)


def failed(subject: str, sentence: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(subject, Verdict.FAILED, sentence)
