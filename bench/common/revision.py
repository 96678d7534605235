# SPDX-License-Identifier: MIT
"""Which state of the sources the numbers come from."""

import subprocess
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).resolve().parents[2]
UNKNOWN: Final = "unknown"
CHANGES: Final = "+changes"


def read(folder: Path = CHECKOUT) -> str:
    """Return git's short name of the revision, with `+changes` where files differ from it.

    The folder `docs` is left out: results of other scenarios change it.
    """
    try:
        name = _git(folder, "rev-parse", "--short", "HEAD")
        others = ("--", ".", ":(exclude)docs")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", *others)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return name + (CHANGES if changed else "")


def _git(folder: Path, *words: str) -> str:
    # Inside a lab everybody is root, and the files may be somebody else's.
    argv = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
