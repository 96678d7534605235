# SPDX-License-Identifier: MIT
"""What the tutorial and the install page tell their readers to do, done in the lab."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import inside
from tests.e2e import documents

ROOT = Path(__file__).parents[2]
LABEL = "node-role/frontend"


@pytest.fixture
def reader(whole: inside.Lab) -> Iterator[documents.Shell]:
    """Somebody who types what a page says; in the end the lab is as it was."""
    before = whole.nodes()
    shell = documents.Shell(ROOT)
    yield shell
    shell.close()
    for added in set(whole.nodes()) - set(before):
        whole.change("node", "stop", added)
        whole.kubectl("delete", "node", added)
    for node in before:
        whole.kubectl("uncordon", node)
    whole.kubectl("label", "node", "--all", f"{LABEL}-")
    for words in (
        ("service,deployment", "hello"),
        ("-f", str(ROOT / "examples" / "everywhere.yaml")),
        ("-f", str(ROOT / "examples" / "web.yaml")),
        ("l2lb", "front"),
        ("-f", str(ROOT / "examples" / "backend.yaml")),
    ):
        with contextlib.suppress(inside.CommandError):
            whole.kubectl("delete", *words, "--ignore-not-found")


@pytest.mark.parametrize("page", ["install.md", "tutorial.md"])
def test_what_a_page_tells_its_readers_to_do_works(reader, page):
    done = 0
    for step in documents.steps(ROOT / "docs" / page):
        reader.do(step)
        done += 1

    assert done >= 10
