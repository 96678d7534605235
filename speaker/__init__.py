# SPDX-License-Identifier: MIT
"""The daemon on each node: it answers ARP and NDP for the addresses its node holds."""
