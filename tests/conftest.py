# SPDX-License-Identifier: MIT
"""The usual run looks at the same examples each time, so that what lands lands for its own sake.

`pytest tests/unit/placement --hypothesis-profile thorough` searches for new ones, for minutes.
"""

import hypothesis

# A busy machine must not fail a property by its speed.
hypothesis.settings.register_profile("usual", deadline=None, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=3000)
if hypothesis.settings.get_current_profile_name() != "thorough":
    hypothesis.settings.load_profile("usual")
