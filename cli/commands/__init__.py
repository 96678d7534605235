# SPDX-License-Identifier: MIT
"""One module a command, each with `run`, which takes the options and returns the exit code."""
