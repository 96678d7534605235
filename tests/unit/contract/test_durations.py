# SPDX-License-Identifier: MIT
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import durations, errors


@given(st.integers(0, 10**10).map(lambda ms: ms / 1000) | st.just(math.inf))
def test_what_is_formatted_parses_to_the_same(seconds):
    assert durations.parse_duration(durations.format_duration(seconds)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("never", math.inf)]
)
def test_durations_are_read_as_kubernetes_writes_them(text, seconds):
    assert durations.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "30 s", "30sec", "1d", "Never"])
def test_what_is_no_duration_is_refused_by_name(text):
    with pytest.raises(errors.ContractError, match="write it like 30s") as caught:
        durations.parse_duration(text)
    assert repr(text) in str(caught.value)
