# SPDX-License-Identifier: MIT
"""Ask the advisory database about every pinned Python package: `make audit`.

Ends with 1 if one has a known vulnerability. Where the database cannot be asked it says so and
ends with 0: then nothing is known, which is no reason to stop somebody who is offline.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
PINNED: Final = (*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "image" / "build.txt")
WITHIN_S: Final = 600.0
_NAMED: Final = 5  # of what could not be audited


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A sentence a vulnerability, and the packages that the database was or was not asked about."""

    faults: tuple[str, ...]
    asked: tuple[str, ...]
    passed_over: tuple[str, ...]


def read(document: Mapping[str, Any]) -> Report:
    """Read pip-audit's JSON."""
    faults, asked, passed_over = [], [], []
    for package in document["dependencies"]:
        if "skip_reason" in package:
            passed_over.append(package["name"])
            continue
        asked.append(package["name"])
        for found in package["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            known = ", ".join([found["id"], *found.get("aliases", [])])
            faults.append(f"{package['name']} {package['version']}: {known}; mended in {mended}")
    return Report(tuple(faults), tuple(asked), tuple(passed_over))


def told(report: Report) -> str:
    """Say what was found, and what remains unknown."""
    lines = [*report.faults]
    if not report.asked:
        lines.append(f"nothing was audited: the database knew none of {_some(report.passed_over)}")
    elif report.passed_over:
        lines.append(
            f"not audited, as the database does not know them: {_some(report.passed_over)}"
        )
    if report.asked and not report.faults:
        lines.append(f"{len(report.asked)} packages have no known vulnerability")
    return "\n".join(lines)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def ask() -> Report | str:
    """Run pip-audit over all pinned packages; a sentence where it got no answer."""
    files = [word for path in PINNED for word in ("-r", str(path))]
    try:
        answer = subprocess.run(
            [
                *(sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"),
                *("--format=json", "--progress-spinner=off", *files),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {WITHIN_S:.0f} s"
    try:
        return read(json.loads(answer.stdout))
    except (ValueError, KeyError, TypeError):
        return (answer.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]


def main() -> int:
    """Ask, and say what came back."""
    report = ask()
    if isinstance(report, str):
        print(f"nothing was audited: the advisory database could not be asked: {report}")
        return 0
    print(told(report))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
