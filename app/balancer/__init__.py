# SPDX-License-Identifier: MIT
"""The balancer's side: which children should exist, and what the balancer's status says."""
