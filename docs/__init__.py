# SPDX-License-Identifier: MIT
"""The documentation's own programs: what is made from the code, and how the site is built."""
