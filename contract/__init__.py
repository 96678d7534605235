# SPDX-License-Identifier: MIT
"""What the webhook and the speakers must agree on: names, address pools, the child's encoding."""
