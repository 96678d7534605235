# SPDX-License-Identifier: MIT
import datetime as dt

from cli import cluster
from tests.unit.explain import scenes


def test_one_look_shows_nodes_troubles_and_moves(run, server):
    server.lists[cluster.SERVICES][1] = scenes.child_of(by="n2")
    server.lists[cluster.EVENTS] = [scenes.moved("192.0.2.10", "n1", "n2", dt.datetime.now(dt.UTC))]
    ran = run("top --looks 1")
    assert ran.code == 0
    assert "3 of 3 addresses announced" in ran.out
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["n1", "0/1", "\N{LIGHT SHADE}"] in rows
    assert ["n2", "2/1", "\N{FULL BLOCK}" * 2] in rows
    assert any(row[:3] == ["192.0.2.10", "shop/web", "moved"] for row in rows)
    assert any(row[-1:] == ["holder-died"] for row in rows)


def test_it_looks_as_often_as_it_was_told(run, server, monkeypatch):
    slept: list[int] = []
    monkeypatch.setattr("time.sleep", slept.append)
    run("top --looks 3 --every 7")
    assert slept == [7, 7]
