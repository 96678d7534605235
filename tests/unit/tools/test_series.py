# SPDX-License-Identifier: MIT
import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import inside
from tools import scenes, series

EXPOSITION = """
# HELP l2lb_speaker_peers Speakers heard.
l2lb_speaker_peers{interface="eth0"} 3
l2lb_speaker_fitness_rank 0
l2lb_speaker_resident_bytes 1e+07
"""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0], "1"),
        ([None, 0, 0, 0, 2.5, None], "_ 0x2 2.5 stale"),
        ([None, None, 7, None, None, None, 8], "_x2 7 stale _x2 8"),
        ([1, None, 1], "1 stale 1"),
    ],
)
def test_samples_are_written_as_promtool_reads_them(
    values: list[float | None], expected: str
) -> None:
    assert series.notation(values) == expected


def test_only_what_alerts_speak_of_is_kept_and_gets_its_targets_labels() -> None:
    names = frozenset({"l2lb_speaker_peers", "l2lb_speaker_fitness_rank"})

    kept = dict(series.samples(EXPOSITION, names, node="n1"))

    assert kept == {
        'l2lb_speaker_peers{interface="eth0",node="n1"}': 3.0,
        'l2lb_speaker_fitness_rank{node="n1"}': 0.0,
    }


class Lab:
    def nodes(self) -> list[str]:
        return ["n1"]


class Stage:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.state = 0.0

    @contextlib.contextmanager
    def built(self) -> Iterator[None]:
        yield


def test_a_recording_ends_before_its_scene_is_undone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    stage = Stage(Lab())

    @contextlib.contextmanager
    def played(stage: Any) -> Iterator[None]:
        """Do something."""
        stage.state = 1.0
        yield
        stage.state = 2.0

    monkeypatch.setattr(scenes, "ALL", {"played": played})
    monkeypatch.setattr(scenes, "Stage", lambda _: stage)
    monkeypatch.setattr(inside, "Lab", Lab)
    monkeypatch.setattr(series, "scrape", lambda *_: {"state{}": stage.state})
    monkeypatch.setattr(series, "FOLDER", tmp_path)
    monkeypatch.setattr("sys.argv", ["series", "played"])

    assert series.main() == 0

    text = (tmp_path / "played.yaml").read_text()
    (found,) = yaml.safe_load(text)["input_series"]
    assert "Recorded by 'python -m tools.series played': Do something." in text
    assert "2" not in str(found["values"])
    assert stage.state == 2.0
