# SPDX-License-Identifier: MIT
"""`python -m bench NAME ...`: run the bench of that name; without a name, list them."""

import importlib
import pkgutil
import sys
from pathlib import Path

import bench

NOT_BENCHES = frozenset({"__main__", "requests"})


def main() -> int:
    """Hand the arguments on to the bench that the first one names."""
    found = sorted(
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if not module.ispkg and module.name not in NOT_BENCHES
    )
    if len(sys.argv) < 2 or sys.argv[1] not in found:  # noqa: PLR2004  # the program and a name
        program = Path(sys.executable).name
        sys.stderr.write(
            f"usage: {program} -m bench NAME [--json FILE]; NAME: {', '.join(found)}\n"
        )
        return 2
    status: int = importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
