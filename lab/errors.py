# SPDX-License-Identifier: MIT
class LabError(Exception):
    """The lab cannot do what was asked; the message is a sentence for the one who asked."""
