# SPDX-License-Identifier: MIT
"""What ends a command early: sentences for the one who typed it, each kind with its exit code."""

import enum


class Exit(enum.IntEnum):
    """The exit codes, as `--help` and docs/kubectl-l2lb.md list them."""

    DONE = 0
    NOT_WELL = 1  # what was looked at, or waited for, is not as it should be
    USAGE = 2  # argparse's own
    NOT_FOUND = 3
    CLUSTER = 4
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class CliError(Exception):
    """A command that cannot go on; the message says what was wrong and what would be right."""

    code = Exit.NOT_WELL


class UsageError(CliError):
    """Arguments that contradict each other or the cluster."""

    code = Exit.USAGE


class NotFoundError(CliError):
    """What was named is not there."""

    code = Exit.NOT_FOUND


class ClusterError(CliError):
    """The API server cannot be reached, or says no."""

    code = Exit.CLUSTER


class ForbiddenError(ClusterError):
    """The API server knows who asks, and does not allow it."""
