# SPDX-License-Identifier: MIT
import pytest

from bench import failover
from bench.rivals import keepalived, metallb, ours


@pytest.mark.parametrize(("mine", "others"), [(50, 10), (20, 5), (20, 3), (2, 2), (3, 1)])
def test_the_others_take_as_many_turns_as_they_should(mine: int, others: int):
    rival, own = object.__new__(metallb.MetalLb), object.__new__(ours.Ours)
    rounds = range(mine)
    assert sum(failover._has_its_turn(rival, number, mine, others) for number in rounds) == others
    assert all(failover._has_its_turn(own, number, mine, others) for number in rounds)
    assert failover._has_its_turn(rival, 0, mine, others)


def test_a_late_takeover_that_the_kernels_forwarding_hides_misses_its_bar():
    samples = [failover.Sample(gap_s=0.02, wire_s=5.0, others_failed=0)]
    rows = failover.rows_of("SIGKILL", object.__new__(ours.Ours), samples)
    assert [(row.what, row.verdict) for row in rows] == [
        ("SIGKILL: gap", "met"),
        ("SIGKILL: wire", "missed"),
        ("SIGKILL: failed on other addresses", "met"),
    ]


def test_a_kernel_that_goes_on_answering_is_not_sold_as_a_takeover():
    rival = object.__new__(keepalived.Keepalived)
    rival.name = "keepalived"
    samples = [failover.Sample(gap_s=0.02, wire_s=0.01, others_failed=0)]
    killed, cut = (failover.rows_of(kind, rival, samples) for kind in ("SIGKILL", "cable cut"))
    assert [row.note for row in killed] == ["", failover.KERNEL_ANSWERS, ""]
    assert not any(row.note for row in cut)
