# SPDX-License-Identifier: MIT
"""One module a hook: request bytes in, answer out; no I/O, no clock of its own."""
