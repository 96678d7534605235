# SPDX-License-Identifier: MIT
"""What a developer runs by hand: heartbeats taken apart, recordings, programs of others."""
