# SPDX-License-Identifier: MIT
import pytest

from bench import handover
from bench.rivals import metallb, ours

MOVED = handover.Sample(failed=0, cut=1, served=100, moved=True)
STILL = handover.Sample(failed=0, cut=0, served=100, moved=False)


@pytest.mark.parametrize("kind", ["cordon", "rolling restart"])
def test_what_moves_nothing_is_told_as_not_measured_and_does_not_pass(kind):
    failed, cut = handover.rows_of(kind, object.__new__(ours.Ours), [STILL, STILL])
    assert (failed.samples, failed.verdict) == ((), "missed")
    assert failed.note == "not measured in 2 of 2 samples: the address did not move"
    assert (cut.samples, cut.note) == ((), failed.note)


def test_a_sample_without_a_move_does_not_count_beside_others():
    failed, cut = handover.rows_of("cordon", object.__new__(ours.Ours), [MOVED, STILL])
    assert (failed.samples, failed.verdict, cut.samples) == ((0.0,), "met", (1.0,))
    assert "1 of 2" in failed.note


def test_who_never_moves_on_a_cordon_is_measured_as_it_stands():
    failed, _ = handover.rows_of("cordon", object.__new__(metallb.MetalLb), [STILL])
    assert (failed.samples, failed.note) == ((0.0,), "it does not move on a cordon")
