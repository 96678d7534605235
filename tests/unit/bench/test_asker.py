# SPDX-License-Identifier: MIT
from bench.common import asker


def test_silence_counts_from_the_first_question_and_between_answers():
    seen = asker.Seen("192.0.2.1", first_asked=10.0)
    for moment, mac in ((10.5, "a"), (10.6, "a"), (10.9, "b"), (11.0, "b")):
        seen.note(mac, moment)
    assert seen.first_answer == 10.5
    assert seen.longest_silence_s == 0.5
    assert seen.changes == [(10.5, "a"), (10.9, "b")]
    assert seen.macs == {"a": 2, "b": 2}
