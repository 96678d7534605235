# SPDX-License-Identifier: MIT
import pathlib

import httpx2
import pytest

from app.explain import model
from cli import __main__ as program
from cli import arguments, cluster, errors


def test_without_the_crd_the_remedy_is_to_install_it(run, server):
    del server.lists[cluster.BALANCERS]
    ran = run("status")
    assert ran.code == 3
    assert "install the chart" in ran.err


def test_who_may_not_list_all_services_is_told_to_name_a_namespace(run, server):
    server.refused[cluster.SERVICES] = 403
    ran = run("status")
    assert ran.code == 4
    assert "name a namespace of yours with -n" in ran.err
    assert run("status -n shop").code == 0


def test_who_may_not_see_nodes_and_events_sees_the_rest(run, server):
    server.refused |= {cluster.NODES: 403, cluster.EVENTS: 403, cluster.DEPLOYMENTS: 403}
    ran = run("status")
    assert ran.code == 0
    assert "may not be seen by this user" in ran.out


@pytest.mark.parametrize(("status", "word"), [(401, "log in again"), (500, "is refused")])
def test_an_api_server_that_says_no_is_quoted(run, server, status, word):
    server.refused[cluster.BALANCERS] = status
    ran = run("status")
    assert ran.code == 4
    assert word in ran.err


def test_an_api_server_that_is_not_there_is_named(monkeypatch, capsys):
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused")

    client = httpx2.Client(base_url="https://api.test", transport=httpx2.MockTransport(refuse))
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: cluster.Cluster(client))
    assert program.main(["status"]) == errors.Exit.CLUSTER
    assert "https://api.test cannot be reached: connection refused" in capsys.readouterr().err


def test_a_server_of_another_kind_is_no_api_server(monkeypatch, capsys):
    page = httpx2.MockTransport(lambda _: httpx2.Response(200, text="<html>"))
    client = httpx2.Client(base_url="https://api.test", transport=page)
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: cluster.Cluster(client))
    assert program.main(["status"]) == errors.Exit.CLUSTER
    assert "does not answer" in capsys.readouterr().err


def test_an_interrupt_ends_quietly(monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cluster, "connect", interrupt)
    assert program.main(["status"]) == errors.Exit.INTERRUPTED


@pytest.mark.parametrize("line", ["", "nonsense", "drain", "simulate --add 0", "status -o xml"])
def test_a_wrong_command_line_ends_with_2(line, capsys):
    with pytest.raises(SystemExit) as ended:
        program.main(line.split())
    assert ended.value.code == errors.Exit.USAGE


def test_every_exit_code_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    told = capsys.readouterr().out
    assert all(f"\n  {code.value:<5}" in told for code in errors.Exit)


def test_the_page_tells_of_every_exit_code_command_and_state():
    page = (pathlib.Path(__file__).parents[3] / "docs" / "kubectl-l2lb.md").read_text()
    assert all(f"\n| {code.value} |" in page for code in errors.Exit)
    assert all(f"\n## {command}" in page.lower() for command in arguments.COMMANDS)
    states = [*model.AddressState, *model.ServiceState]
    assert all(f"\n| `{state.value}` |" in page for state in states)
