# SPDX-License-Identifier: MIT
"""Tell the main job as a story on a real cluster, and check each claim of it."""

import argparse
import json
import sys
from pathlib import Path

from lab import errors, inside
from lab.demo import story


def main() -> int:
    """Tell the story; 0 only if every step was seen to be true."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen as data")
    arguments = parser.parse_args()
    try:
        told = story.Story(inside.Lab())
    except errors.LabError:
        print("The demo runs inside a lab: start it with 'make demo'.", file=sys.stderr)
        return 2
    told.tell()
    if arguments.json:
        scratch = arguments.json.with_name(arguments.json.name + ".new")
        scratch.write_text(json.dumps(told.document(), indent=2) + "\n")
        scratch.replace(arguments.json)
    return 0 if told.is_true else 1


if __name__ == "__main__":
    sys.exit(main())
