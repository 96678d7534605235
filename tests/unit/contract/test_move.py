# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import move

words = st.from_regex(r"[a-z0-9.-]+", fullmatch=True)


@given(st.ip_addresses(), words, words, words)
def test_what_a_speaker_says_of_a_move_is_read_back(address, came_from, went_to, why):
    told = move.Move(address, came_from, went_to, why)
    assert move.read(str(told)) == told


@pytest.mark.parametrize("message", ["", "web moved from n1 to n2: failback", "192.0.2.1 is free"])
def test_other_messages_tell_of_no_move(message):
    assert move.read(message) is None
