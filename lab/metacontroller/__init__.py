# SPDX-License-Identifier: MIT
"""A stand-in for Metacontroller: as much of its contract as our three controllers use."""
