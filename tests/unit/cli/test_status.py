# SPDX-License-Identifier: MIT
import pytest
import yaml

from cli import cluster
from tests.unit.explain import scenes


def test_every_address_is_in_a_row_of_its_own(run):
    ran = run("status")
    assert ran.code == 0
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["front", "ready", "3/41", "IPv4", "38", "3", "1", "192.0.2.10-192.0.2.50"] in rows
    assert ["n1", "fit", "1", "1"] in rows
    assert [row[:5] for row in rows if row and row[0] == "shop/web"] == [
        ["shop/web", "served", "192.0.2.10", "n1", "n1"]
    ]
    assert any(row[:3] == ["192.0.2.12", "n3", "n3"] for row in rows)


def test_wide_shows_interface_mac_stand_ins_and_child(run):
    words = run("status -o wide").out.split()
    assert {"eth1", scenes.MAC, "web-l2-1"} <= set(words)


@pytest.mark.parametrize(("form", "read"), [("json", yaml.safe_load), ("yaml", yaml.safe_load)])
def test_programs_get_the_whole_view(run, form, read):
    found = read(run(f"status -o {form}").out)
    assert found["level"] == "good"
    assert found["services"][0]["addresses"][0]["state"] == "announced"


def test_a_pending_service_says_why_in_its_row(run, server):
    server.lists[cluster.SERVICES] = [scenes.service("new", count="many")]
    assert "annotation l2lb.io/ip-count is 'many'" in run("status").out


def test_only_one_balancer_is_shown(run, server):
    server.lists[cluster.BALANCERS].append(scenes.balancer("back"))
    assert "front" not in run("status back").out


def test_a_balancer_that_is_not_there_is_an_error_that_names_those_that_are(run):
    ran = run("status frnot")
    assert ran.code == 3
    assert ran.err == "kubectl l2lb: there is no balancer frnot; there are: front\n"


def test_a_namespace_narrows_the_services(run):
    assert "shop/web" not in run("status -n other").out


def test_what_cannot_be_read_is_told_below(run, server):
    server.lists[cluster.SERVICES][1]["metadata"]["annotations"]["l2lb.io/nodes"] = "n1,n1"
    assert "child Service shop/web-l2-1: annotation" in run("status").out


def test_long_lists_come_in_pages(run, server):
    server.page_size = 1
    assert "192.0.2.12" in run("status").out


def test_nothing_of_a_name_is_taken_for_markup_or_obeyed_by_the_terminal(run, server):
    server.lists[cluster.SERVICES][0]["metadata"]["name"] = "[red]\x1b[2J[/red]"
    out = run("status").out
    assert "[red]\N{REPLACEMENT CHARACTER}[2J[/red]" in out
    assert "\x1b" not in out


def test_addresses_whose_service_is_gone_are_shown(run, server):
    del server.lists[cluster.SERVICES][0]
    assert "192.0.2.11" in run("status").out
