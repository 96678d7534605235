# SPDX-License-Identifier: MIT
"""The Helm chart, and what keeps its README true."""
