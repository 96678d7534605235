# SPDX-License-Identifier: MIT
"""What crosses the HTTP border, read and documented by pydantic, which is used nowhere else."""
