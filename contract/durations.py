# SPDX-License-Identifier: MIT
"""Durations as Kubernetes writes them, and `never`."""

import math
import re
from typing import Final

from contract import errors

NEVER: Final = "never"
_UNITS_S: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(h|ms|m|s)")


def parse_duration(text: str) -> float:
    """Return seconds; `never` is infinity. As Go's `time.ParseDuration`, without sign and below ms.

    Raises ContractError when the text is not a duration.
    """
    if text == NEVER:
        return math.inf
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise errors.ContractError(
            f"{text!r} is not a duration: write it like 30s, 1m30s or 500ms, or 'never'"
        )
    return math.fsum(float(number) * _UNITS_S[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """Return the shortest text that parses to these seconds, in whole milliseconds."""
    if math.isinf(seconds):
        return NEVER
    milliseconds = round(seconds * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
