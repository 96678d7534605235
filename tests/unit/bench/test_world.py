# SPDX-License-Identifier: MIT
from types import SimpleNamespace
from typing import Any

from bench.common import world


def test_everybody_who_is_there_has_come_to_rest_before_anybodys_turn(monkeypatch):
    settled = []
    monkeypatch.setattr(world.World, "settle", lambda self, *told: settled.append(told))
    everybody: list[Any] = [
        SimpleNamespace(missing=None, preferred=lambda: {"a": "node-1"}),
        SimpleNamespace(missing=None, preferred=dict),
        SimpleNamespace(missing="not installed", preferred=lambda: {"c": "node-2"}),
    ]
    place = object.__new__(world.World)
    place.settle_all(everybody, {"first": ["a"], "second": ["b"]})
    assert settled == [(["a", "b"], {"a": "node-1"})]
