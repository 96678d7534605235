# SPDX-License-Identifier: MIT
"""The webhook: answers Metacontroller's hooks, keeps no state of its own."""
