# SPDX-License-Identifier: MIT
"""Tools beside the product: programs of others that tests run, and a dissector for heartbeats."""
