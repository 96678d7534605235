# SPDX-License-Identifier: MIT
"""What a bench outside of a lab measured: rows that share their columns, as text and as JSON."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.common import machine, report, revision

Row = dict[str, Any]


def judged(row: Row, most: Mapping[str, float]) -> Row:
    """Return a row with its bar and whether it is met; `most` holds the largest value by column."""
    bar = ", ".join(f"{column} <= {report.number(limit)}" for column, limit in most.items())
    met = all(row[column] <= limit for column, limit in most.items())
    return row | {"bar": bar, "verdict": ("met" if met else "missed") if most else ""}


def line(row: Row) -> str:
    """Return a row as one line, for who waits for the next one."""
    return "  ".join(f"{column} {value}" for column, value in row.items() if value != "")


def write(path: Path, bench: str, text: str | None, rows: Sequence[Row]) -> None:
    """Write the rows with what a reader needs in order to compare."""
    document = {
        "bench": bench,
        "measures": (text or "").strip().partition("\n")[0],
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "revision": revision.read(),
        "machine": machine.describe(),
        "load": os.getloadavg()[0],
        "rows": list(rows),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
