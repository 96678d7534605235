# SPDX-License-Identifier: MIT
"""`kubectl-l2lb`, which kubectl runs as `kubectl l2lb`."""

import importlib
import os
import sys
from collections.abc import Sequence

from cli import arguments, errors


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = arguments.parser().parse_args(argv)
    try:
        # Each command loads only what it needs: most of the start-up time are imports.
        command = importlib.import_module(f"cli.commands.{options.command}")
        return int(command.run(options))
    except errors.CliError as error:
        sys.stderr.write(f"{arguments.PROGRAM}: {error}\n")
        return error.code
    except KeyboardInterrupt:
        return errors.Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing more can be flushed to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
