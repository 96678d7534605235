# SPDX-License-Identifier: MIT
import json
import pathlib

import pytest

from app.hooks import table

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "hooks"


def file_of(hook):
    return EXAMPLES / f"{hook.name.replace('_', '-')}.json"


@pytest.mark.parametrize("hook", table.HOOKS, ids=lambda hook: hook.name)
def test_each_recorded_request_is_answered(hooks, hook):
    response = hooks.post(hook.path.removeprefix("/hooks/"), file_of(hook).read_bytes())
    assert response.status_code == 200
    hook.answer.model_validate(response.json(), extra="forbid")


def test_the_recorded_balancer_gets_a_child_an_address_each_on_its_own_node(hooks):
    (hook,) = (hook for hook in table.HOOKS if hook.name == "balancer_sync")
    answer = hooks.answer("balancer/sync", json.loads(file_of(hook).read_text()))
    notes = [child["metadata"]["annotations"] for child in answer["children"]]
    nodes = [note["l2lb.io/nodes"].split(",")[0] for note in notes]
    assert len(nodes) >= 3
    assert len(set(nodes)) == len(nodes)
