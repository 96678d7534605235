# SPDX-License-Identifier: MIT
"""Python's cyclic garbage collector, told what this program is like."""

import gc
from typing import Final

# A large request makes some 300,000 objects, none of them in a cycle. At the default of 700 the
# collector walks over all of them many times, which takes a third of the whole answer's time.
YOUNG_OBJECTS: Final = 400_000


def relax() -> None:
    """Leave alone what was loaded at start, and look for cycles rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
