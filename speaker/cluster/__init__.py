# SPDX-License-Identifier: MIT
"""What the speaker reads from the API server and the little it writes there."""
