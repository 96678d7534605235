# SPDX-License-Identifier: MIT
"""What stands for later releases of the product, in tests of upgrades."""
