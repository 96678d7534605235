# SPDX-License-Identifier: MIT
"""The webhook: answers Metacontroller's hooks, keeps nothing of what it is asked."""
