# SPDX-License-Identifier: MIT
import os
import uuid
from collections.abc import Iterator

import pytest

from lab import inside
from tests.e2e import people
from tests.e2e.faults import matrix, stage, trial
from tests.e2e.faults import programs as processes
from tests.e2e.faults import switch as segment
from tests.e2e.faults import upstream as way


def pytest_runtest_setup(item: pytest.Item) -> None:
    stated: matrix.Row = item.function.row  # type: ignore[attr-defined] # every test here is a row
    if stated.long and os.environ.get("FAULTS") != "all":
        pytest.skip("it takes minutes: 'make soak' runs it, and FAULTS=all")
    # Before any fixture can fail: what an earlier run found must not stand for this one.
    stated.path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def prepared(lab: inside.Lab) -> Iterator[stage.Stage]:
    """The stage, which all rows share: each must leave it as it was."""
    name = f"faults-{uuid.uuid4().hex[:6]}"
    with people.namespace(lab, name):
        made = stage.Stage(lab, name)
        made.install()
        yield made
        made.remove()


@pytest.fixture
def row(request: pytest.FixtureRequest, prepared: stage.Stage) -> trial.Trial:
    """The row that the test states. What a fault breaks it mends itself, also when it fails."""
    return trial.Trial(request.function.row, prepared)


@pytest.fixture
def switch(lab: inside.Lab) -> segment.Switch:
    return segment.Switch(lab)


@pytest.fixture
def programs(lab: inside.Lab) -> processes.Programs:
    return processes.Programs(lab)


@pytest.fixture
def upstream(lab: inside.Lab) -> way.Upstream:
    return way.Upstream(lab)


@pytest.fixture
def rival(lab: inside.Lab) -> str:
    """A machine on the segment that is no node of ours."""
    name = "rival"
    if name not in lab.run(None, "ip", "netns", "list"):
        lab.change("machine", "add", name)
    return name
