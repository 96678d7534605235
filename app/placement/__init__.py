# SPDX-License-Identifier: MIT
"""Which Service has which addresses, which node holds each, and who stands in: pure functions."""
