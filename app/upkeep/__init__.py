# SPDX-License-Identifier: MIT
"""What the chart's Jobs run: credentials before an install, cleaning up before its end."""
