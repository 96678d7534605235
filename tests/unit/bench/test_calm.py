# SPDX-License-Identifier: MIT
import pytest

from bench import calm


@pytest.mark.parametrize(
    ("before", "after", "verdict", "worst"),
    [
        ((3, 3), (3, 3), "met", 0),
        ((3, 3), (3, 4), "missed", 1),
        ((3, 3), (3, 2), "missed", 2),  # restarted, and took two
    ],
)
def test_an_address_given_up_and_taken_again_misses_the_bar(before, after, verdict, worst):
    counts = [[{calm.TAKEN: n, calm.STALLS: 7 * n} for n in some] for some in (before, after)]
    taken, stalls = calm.counted_rows("ours", *counts)
    assert (taken.verdict, taken.worst) == (verdict, worst)
    assert (stalls.verdict, stalls.worst) == ("", 7 * worst)
