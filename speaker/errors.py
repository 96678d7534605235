# SPDX-License-Identifier: MIT
"""The speaker's errors."""


class SpeakerError(Exception):
    """What went wrong and what would be right, in a sentence."""
