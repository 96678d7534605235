# SPDX-License-Identifier: MIT
"""The page for people: what is wanted and what is observed, read when somebody looks."""
