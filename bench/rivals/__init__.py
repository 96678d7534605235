# SPDX-License-Identifier: MIT
"""The programs that are measured side by side, ours among them, behind one interface."""
