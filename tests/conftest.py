# SPDX-License-Identifier: MIT
"""`pytest tests/unit/placement --hypothesis-profile thorough` searches for minutes."""

import hypothesis

# A busy machine must not fail a property by its speed.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=3000)
if hypothesis.settings.get_current_profile_name() != "thorough":
    hypothesis.settings.load_profile("usual")
