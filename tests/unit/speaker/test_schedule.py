# SPDX-License-Identifier: MIT
import ipaddress
import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from contract import pool
from speaker.wire import schedule

A, B = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")
FORMS = {pool.IPV4: 2, pool.IPV6: 1}


def run(
    plan: schedule.Schedule, start: float, end: float, *, quiet: bool = False
) -> list[tuple[float, pool.Address, int]]:
    """Return what is announced when, by a shell that wakes exactly when it is told to."""
    sent: list[tuple[float, pool.Address, int]] = []
    now = start
    while True:
        sent += [(round(now, 6), address, forms) for address, forms in plan.due(now, quiet=quiet)]
        wake = plan.next_at(now)
        if wake is None or wake > end:
            return sent
        now = max(wake, now + 1e-6)


def fresh(rate: float = 200.0, burst: int = 50) -> schedule.Schedule:
    return schedule.Schedule(schedule.Bucket(rate, burst, 0.0), FORMS)


def test_a_taken_address_is_announced_in_a_burst_and_then_each_minute() -> None:
    plan = fresh()
    plan.add(A, 0.0)
    moments = [moment for moment, _, _ in run(plan, 0.0, 200.0)]
    assert moments[:6] == [0.0, 0.1, 0.5, 1.0, 2.0, 4.0]
    assert 4.0 < moments[6] <= 64.0 + 30.0
    waits = {round(after - before, 3) for before, after in itertools.pairwise(moments[6:])}
    assert waits == {60.0}


def test_the_first_arp_announcement_has_two_forms_and_every_other_one() -> None:
    plan = fresh()
    plan.add(A, 0.0)
    plan.add(B, 0.0)
    forms: dict[pool.Address, list[int]] = {address: [] for address in (A, B)}
    for _, address, count in run(plan, 0.0, 5.0):
        forms[address].append(count)
    assert forms == {A: [2, 1, 1, 1, 1, 1], B: [1] * 6}


def test_a_released_address_is_not_announced_even_if_it_was_due() -> None:
    plan = fresh(rate=1.0, burst=2)
    plan.add(A, 0.0)
    plan.add(B, 0.0)
    assert plan.due(0.0) == [(A, 2)]
    plan.remove(B)
    assert B not in {address for _, address, _ in run(plan, 0.0, 100.0)}


def test_an_address_taken_again_starts_over_and_is_not_announced_twice_as_often() -> None:
    plan = fresh()
    plan.add(A, 0.0)
    plan.due(0.0)
    plan.remove(A)
    plan.add(A, 0.05)
    assert [moment for moment, _, _ in run(plan, 0.05, 2.0)] == [0.05, 0.15, 0.55, 1.05]


def test_every_address_is_announced_once_before_any_is_repeated() -> None:
    plan = fresh(rate=100.0, burst=10)
    addresses = [ipaddress.IPv6Address(index) for index in range(2**64, 2**64 + 300)]
    for address in addresses:
        plan.add(address, 0.0)
    first_300 = [address for _, address, _ in run(plan, 0.0, 20.0)][:300]
    assert set(first_300) == set(addresses)


def test_a_burst_of_one_frame_is_a_slow_start_and_no_silence() -> None:
    plan = fresh(rate=10.0, burst=1)
    plan.add(A, 0.0)
    plan.add(B, 0.0)
    sent = run(plan, 0.0, 5.0)
    assert {address for _, address, _ in sent[:2]} == {A, B}
    assert {forms for _, _, forms in sent} == {1}


@given(
    count=st.integers(1, 80),
    rate=st.floats(1.0, 500.0),
    burst=st.integers(1, 60),
)
def test_the_rate_of_frames_stays_below_the_limit(count: int, rate: float, burst: int) -> None:
    plan = fresh(rate, burst)
    for index in range(count):
        plan.add(ipaddress.IPv4Address(0xC0000200 + index), 0.0)
    sent = run(plan, 0.0, 10.0)
    for start in (0.0, 0.1, 1.0, 5.0):
        within = sum(forms for moment, _, forms in sent if start <= moment < start + 1.0)
        assert within <= burst + rate + 1


def test_addresses_taken_together_are_not_refreshed_together() -> None:
    plan = fresh()
    for index in range(120):
        plan.add(ipaddress.IPv4Address(0xC0000200 + index), 0.0)
    seconds = Counter(int(moment) for moment, _, _ in run(plan, 0.0, 300.0) if moment >= 130.0)
    assert max(seconds.values()) <= 12


def test_while_quiet_only_the_refresh_is_held_back() -> None:
    plan = fresh()
    plan.add(A, 0.0)
    assert len(run(plan, 0.0, 300.0, quiet=True)) == 6
    assert len(run(plan, 300.0, 361.0)) == 1


def test_nothing_held_needs_no_waking() -> None:
    assert fresh().next_at(0.0) is None
