# SPDX-License-Identifier: MIT
"""What /status says, and in which pieces."""

import dataclasses
import ipaddress
import json
import math

from speaker import http, status
from speaker.links import table
from tests.unit.speaker import test_status_metrics as stand_in

ADDRESSES = [ipaddress.ip_address("10.0.0.0") + number for number in range(250)]


def rendered(speaker: stand_in.Speaker) -> list[str]:
    page: http.Page = status.pages(speaker)["/status"]()  # type: ignore[arg-type] # a stand-in
    return [page.body, *page.rest]


def test_what_is_believed_is_shown_field_by_field() -> None:
    speaker = stand_in.Speaker()
    link = table.Link(2, "eth0", b"\x02\0\0\0\0\1", ethernet=True, carrier=True)
    subnets = frozenset({ipaddress.ip_network("10.0.0.0/8")})
    speaker.known.links = table.Table(links={2: link}, subnets={2: subnets}, default_links={})
    peer = dataclasses.replace(stand_in.peer("eth0", stand_in.PEER), well_for_s=math.inf)
    speaker.view = dataclasses.replace(
        speaker.view,
        peers=(peer,),
        addresses=(stand_in.believed("eth0", stand_in.SIX, stand_in.NODE),),
    )
    said = json.loads("".join(rendered(speaker)))
    assert said["fitness"] == {"rank": "well", "why": "well"}
    assert said["keyIds"] == ["0a0b"]
    assert said["ownNode"] is None
    assert said["listsComplete"] is False
    assert said["complaints"] == []
    (shown_link,) = said["links"]
    assert (shown_link["mac"], shown_link["subnets"]) == ("02:00:00:00:00:01", ["10.0.0.0/8"])
    (shown_peer,) = said["peers"]
    assert shown_peer.keys() == {field.name for field in dataclasses.fields(peer)}
    assert (shown_peer["rank"], shown_peer["well_for_s"]) == ("well", None)
    assert said["addresses"] == [
        {
            "interface": "eth0",
            "address": "2001:db8::10",
            "nodes": ["a", "b"],
            "list_version": 1,
            "candidates": ["a", "b"],
            "holder": "a",
            "held_here": True,
            "why": "",
        }
    ]


def test_many_addresses_are_shown_in_pieces_of_a_millisecond() -> None:
    speaker = stand_in.Speaker()
    speaker.view = dataclasses.replace(
        speaker.view,
        addresses=tuple(stand_in.believed("eth0", address, None) for address in ADDRESSES),
    )
    pieces = rendered(speaker)
    assert max(piece.count("list_version") for piece in pieces) == 100
    said = json.loads("".join(pieces))
    assert [each["address"] for each in said["addresses"]] == list(map(str, ADDRESSES))
