# SPDX-License-Identifier: MIT
"""`kubectl l2lb`: see the balancers' addresses, ask why, try out failures, check and drain."""
