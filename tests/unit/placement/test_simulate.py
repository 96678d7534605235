# SPDX-License-Identifier: MIT
import json

import pytest

from app.placement import __main__ as program
from app.placement import simulate
from contract import pool


def rows(*script: str) -> list[simulate.Row]:
    return simulate.run(script, simulate.Simulation())


def test_each_event_has_a_row():
    events = ["join a b c", "add web 3", "fail a", "return a", "leave b", "count web 2"]
    assert [row.event for row in rows(*events, "# a comment", "", "delete web")] == [
        *events,
        "delete web",
    ]


def test_a_failure_shows_what_is_taken_over_and_changes_no_list():
    *_, row = rows("join a b c", "add web 3", "fail a")
    assert (row.nodes, row.taken_over, row.moved, row.rewritten) == (2, 1, 0, 0)


def test_a_join_shows_what_moved_and_that_fewer_would_not_do():
    *_, row = rows("join a b", "add s1 1", "add s2 1", "add s3 1", "add s4 1", "join c")
    assert (row.gap, row.moved, row.fewest) == (1, 1, 1)


def test_a_removal_shows_who_took_over():
    *_, row = rows("join a b c", "add s1 1", "add s2 1", "add s3 1", "leave a")
    assert (row.addresses, row.taken_over, row.moved) == (3, 1, 0)


def test_all_nodes_failed_leaves_nothing_held():
    simulation = simulate.Simulation()
    *_, row = simulate.run(["join a b", "add web 2", "fail a b"], simulation)
    assert (row.nodes, row.gap, simulation.held) == (0, 0, {})


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ("explode a", "there is no event 'explode'"),
        ("add web", "write it like one of these"),
        ("join", "write it like one of these"),
        ("leave z", "z is not a member"),
        ("fail z", "z is not a member"),
        ("return a", "a has not failed"),
        ("join a", "a is a member already"),
        ("add web 1", "there is a Service web already"),
        ("add other many", "a count is a number or auto, not many"),
        ("count none 2", "there is no Service none"),
        ("delete none", "there is no Service none"),
        ("add s' 3", '"add s\' 3" opens a quote and does not close it'),
        ("add s 3\\", "ends in a backslash"),
    ],
)
def test_an_impossible_event_is_named(event, complaint):
    with pytest.raises(simulate.ScriptError, match=complaint):
        rows("join a b", "add web 2", event)


@pytest.mark.parametrize(
    ("entries", "addresses"),
    [(["2001:db8::/120"], 3), (["10.0.0.0/24"], 3), (["10.0.0.0/24", "2001:db8::/120"], 6)],
)
def test_a_service_has_so_many_addresses_of_each_family_of_the_pool(entries, addresses):
    simulation = simulate.Simulation(pool.Pool.parse(entries))
    *_, added, changed = simulate.run(["join a b c", "add web 3", "count web 2"], simulation)
    assert (added.addresses, changed.addresses) == (addresses, addresses * 2 // 3)
    assert sum(simulation.held.values()) == changed.addresses


def test_the_program_prints_a_table(capsys):
    assert program.main(["simulate", "--nodes", "3", "--services", "2", "--do", "fail n1"]) == 0
    out = capsys.readouterr().out
    assert "fail n1" in out
    assert "addresses held: n2: 3, n3: 3" in out


def test_the_program_writes_json(capsys, tmp_path):
    script = tmp_path / "script"
    script.write_text("join a b  # two nodes\nadd web auto\n")
    assert program.main(["simulate", "--script", str(script), "--json", "-"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["loads"] == {"a": 1, "b": 1}
    assert [row["event"] for row in answer["rows"]] == ["join a b  # two nodes", "add web auto"]


@pytest.mark.parametrize(("option", "value"), [("--pool", "10.0.0.0/33"), ("--do", "add s' 3")])
def test_the_program_says_what_is_wrong(capsys, option, value):
    assert program.main(["simulate", option, value]) == 1
    assert value in capsys.readouterr().err
