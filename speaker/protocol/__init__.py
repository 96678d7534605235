# SPDX-License-Identifier: MIT
"""The pure core of the speaker: who is alive on a segment and who holds which address."""
