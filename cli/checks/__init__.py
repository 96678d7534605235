# SPDX-License-Identifier: MIT
"""What `check` looks at: each module takes what was fetched and returns findings."""
