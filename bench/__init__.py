# SPDX-License-Identifier: MIT
"""Measurements: `python -m bench NAME --json FILE`, one module a bench."""
