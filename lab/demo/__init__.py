# SPDX-License-Identifier: MIT
"""The main job, told as a story on a real cluster: `python -m lab run -- python -m lab.demo`."""
