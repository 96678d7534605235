# SPDX-License-Identifier: MIT
"""What is shown to people is what they get."""

import json
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BODIES = sorted((ROOT / "examples" / "hooks").glob("*.json"))
SHOWN = re.compile(
    r"^\$ curl --json @(examples/hooks/\S+\.json) http://127\.0\.0\.1:8080/hooks/(\S+)\n(\{.*\})$",
    re.MULTILINE,
)
TIME = re.compile(r'"lastTransitionTime":"[^"]*"')


def timeless(text: str) -> str:
    return TIME.sub('"lastTransitionTime":""', text)


def test_there_is_a_recorded_body_for_each_hook(hooks):
    paths = [path for path in hooks.app.openapi()["paths"] if path.startswith("/hooks/")]
    names = {path.removeprefix("/hooks/").replace("/", "-") for path in paths}
    assert {body.stem for body in BODIES} == names


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.stem)
def test_each_recorded_body_is_answered(hooks, body):
    name = body.stem
    path = f"{name.removesuffix('-sync').removesuffix('-customize')}/{name.rpartition('-')[2]}"
    assert hooks.answer(path, json.loads(body.read_text()))


def test_the_readme_shows_what_the_hooks_answer(hooks):
    shown = SHOWN.findall((ROOT / "README.md").read_text())
    assert len(shown) == 2
    for body, path, answer in shown:
        response = hooks.post(path, (ROOT / body).read_bytes())
        assert timeless(response.text) == timeless(answer)
