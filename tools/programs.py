# SPDX-License-Identifier: MIT
"""Programs of others, built once from their Go modules and kept outside the checkout.

`python -m tools.programs NAME` installs one, unless it is there, and prints where.
"""

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

BUILD_WITHIN_S: Final = 2400.0


class ProgramError(Exception):
    """A program that cannot be had; the message says what is missing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """A program by the path of its package; `tags` leave out what we do not need of it."""

    name: str
    package: str
    version: str
    tags: str = ""

    @property
    def path(self) -> Path:
        """Return where this version is kept."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "l2lb-tools" / f"{self.name}-{self.version}"

    def find(self) -> Path | None:
        """Return the program: this version, or what PATH has of that name; None without one."""
        if self.path.is_file():
            return self.path
        found = shutil.which(self.name)
        return None if found is None else Path(found)

    def install(self) -> Path:
        """Return the program, built with the ordinary Go client if there is none.

        Raises ProgramError.
        """
        return self.find() or self._build()

    def _build(self) -> Path:
        if shutil.which("go") is None:
            raise ProgramError(f"{self.name} is built with Go, which is missing: install it")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path.parent) as scratch:
            try:
                subprocess.run(
                    [
                        *("nice", "go", "install", "-trimpath", "-ldflags", "-s -w"),
                        *("-tags", self.tags, f"{self.package}@{self.version}"),
                    ],
                    check=True,
                    env={**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0", "GOFLAGS": ""},
                    timeout=BUILD_WITHIN_S,
                )
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                raise ProgramError(f"{self.name} cannot be built: {error}") from error
            Path(scratch, self.name).replace(self.path)
        return self.path


PROMTOOL: Final = Program(
    "promtool",
    "github.com/prometheus/prometheus/cmd/promtool",
    "v0.316.0",
    tags="remove_all_sd",  # the clients of two dozen clouds
)
# The newest of which every module could be had when this was written.
EXTERNAL_DNS: Final = Program("external-dns", "sigs.k8s.io/external-dns", "v0.21.0")
ALL: Final = {program.name: program for program in (PROMTOOL, EXTERNAL_DNS)}


def main() -> int:
    """Install the programs named."""
    parser = argparse.ArgumentParser(prog="python -m tools.programs", description=__doc__)
    parser.add_argument("names", choices=ALL, nargs="+", metavar="NAME", help=", ".join(ALL))
    for name in parser.parse_args().names:
        try:
            print(ALL[name].install())
        except ProgramError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
