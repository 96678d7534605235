# SPDX-License-Identifier: MIT
"""What the scenarios share: how numbers are reported, what is put in the lab, how it is watched."""
