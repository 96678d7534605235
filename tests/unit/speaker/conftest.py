# SPDX-License-Identifier: MIT
import hypothesis

# A busy machine must not fail a property by its speed.
hypothesis.settings.register_profile("speaker", deadline=None)
hypothesis.settings.load_profile("speaker")
