# SPDX-License-Identifier: MIT
"""The errors of the contract."""


class ContractError(ValueError):
    """A value that breaks the contract; the message names it and says what would be right."""
