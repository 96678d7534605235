# SPDX-License-Identifier: MIT
"""The user's Service: what it asks for, and what its status says."""
