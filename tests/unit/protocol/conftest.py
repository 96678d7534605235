# SPDX-License-Identifier: MIT
"""A busy machine is no failure: no property has a deadline."""

import hypothesis

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
