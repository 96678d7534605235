# SPDX-License-Identifier: MIT
from speaker import metrics


def test_samples_have_help_type_and_escaped_labels() -> None:
    counter = metrics.Counter("things_total", "Things.", "kind")
    counter.add('a "quoted"\\\n')
    counter.add("b", amount=2.5)
    assert list(counter.lines()) == [
        'l2lb_speaker_things_total{kind="a \\"quoted\\"\\\\\\n"} 1',
        'l2lb_speaker_things_total{kind="b"} 2.5',
    ]


def test_a_histogram_counts_up_to_infinity() -> None:
    histogram = metrics.Histogram("wait_seconds", "Waits.", bounds=(0.1, 1.0))
    for number in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(number=number)
    assert list(histogram.lines()) == [
        'l2lb_speaker_wait_seconds_bucket{le="0.1"} 2',
        'l2lb_speaker_wait_seconds_bucket{le="1"} 3',
        'l2lb_speaker_wait_seconds_bucket{le="+Inf"} 4',
        "l2lb_speaker_wait_seconds_sum 7.65",
        "l2lb_speaker_wait_seconds_count 4",
    ]


def test_every_metric_is_documented_and_named_once() -> None:
    rendered = metrics.Metrics().render()
    names = [line.split()[2] for line in rendered.splitlines() if line.startswith("# HELP")]
    assert len(names) == len(set(names)) == rendered.count("# TYPE")
    assert all(name.startswith("l2lb_speaker_") for name in names)
    assert all(
        len(line.split(maxsplit=3)) == 4 for line in rendered.splitlines() if "# HELP" in line
    )
