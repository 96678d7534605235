# SPDX-License-Identifier: MIT
"""`completion`: a script that completes `kubectl-l2lb` in a shell; kubectl itself needs none."""

import argparse
import sys

from cli import completion, errors


def run(options: argparse.Namespace) -> int:
    """Write the script."""
    sys.stdout.write(completion.SCRIPTS[options.shell])
    return errors.Exit.DONE
