# SPDX-License-Identifier: MIT
"""The node's network interfaces, followed through rtnetlink, and which of them announces what."""
