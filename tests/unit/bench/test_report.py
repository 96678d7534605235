# SPDX-License-Identifier: MIT
import pytest

from bench.common import report


def row(*samples: float, more_is_better: bool = False, bars: tuple[report.Bar, ...] = ()):
    return report.Row("gap", "somebody", "s", samples, bars, more_is_better)


def test_the_worst_sample_is_the_one_on_the_bad_side():
    assert row(1, 5, 3).worst == 5
    assert row(1, 5, 3, more_is_better=True).worst == 1


def test_a_row_says_where_most_of_its_samples_lie_whoever_came_last():
    steady = row(*([0.2] * 46), *([0.3] * 3), 9.0)
    assert steady.middle == pytest.approx((0.2, 0.2))
    assert row(*range(11)).middle == (1, 9)
    assert "1 to 9" in report.table([row(*range(11))])


def test_of_few_samples_no_tenth_can_be_left_out():
    assert row(1, 2, 3, 4).middle is None
    assert row().middle is None


@pytest.mark.parametrize(
    ("bars", "verdict"),
    [
        ((), ""),
        ((report.Bar("median", 3),), "met"),
        ((report.Bar("median", 3), report.Bar("worst", 4)), "missed"),
        ((report.Bar("median", 3, at_least=True),), "met"),
        ((report.Bar("median", 4, at_least=True),), "missed"),
    ],
)
def test_a_row_is_judged_by_all_its_bars(bars: tuple[report.Bar, ...], verdict: str):
    assert row(1, 5, 3, bars=bars).verdict == verdict


def test_a_bar_is_not_met_by_nothing():
    assert row(bars=(report.Bar("worst", 0),)).verdict == "missed"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.22512, "0.2251"), (5.7095, "5.71"), (33795.4, "33,795"), (-0.1355, "-0.1355")],
)
def test_numbers_are_written_with_four_digits(value: float, text: str):
    assert report.number(value) == text


def test_who_could_not_be_measured_says_why_in_its_line():
    assert "not installed" in report.table([report.Row.missing("gap", "rival", "not installed")])
