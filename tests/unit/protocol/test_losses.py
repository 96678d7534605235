# SPDX-License-Identifier: MIT
"""Minutes of what `make soak` runs for an hour: nothing happens but that frames are lost."""

from __future__ import annotations

import pytest

from tests.simulator import __main__ as simulator


@pytest.mark.parametrize(
    "asked",
    [
        "--size 5 --loss 0.05 --hours 0.03",
        "--size 5 --loss 0.2 --hours 0.03",
        "--size 2 --loss 0.05 --hours 0.1",
        # Two have no witness; docs/protocol.md measures 10 an hour, and this is twice that.
        "--size 2 --loss 0.2 --hours 0.4 --deaths-an-hour 20",
    ],
)
def test_lost_frames_cause_no_more_false_deaths_than_they_may(asked: str) -> None:
    assert simulator.main(["losses", "--first-seed", "1", *asked.split()]) == 0


def test_false_deaths_fail_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulator.main(["losses", "--size", "2", "--loss", "0.6", "--hours", "0.005"]) == 1
    assert "at most 0 may be" in capsys.readouterr().out
