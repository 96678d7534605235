# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

from app.page import pages
from tests.unit.page import cluster


@pytest.fixture
def api() -> cluster.Api:
    return cluster.Api()


@pytest.fixture
def clock() -> cluster.Clock:
    return cluster.Clock()


@pytest.fixture
def made(api: cluster.Api, clock: cluster.Clock, tmp_path: Path) -> pages.Pages:
    return cluster.made(api, clock, tmp_path)
