# SPDX-License-Identifier: MIT
import ipaddress
from typing import Any

import pytest
import structlog

from contract import announcement, child, names, pool
from speaker import metrics, observed
from speaker.cluster import notices, view
from speaker.protocol import events

ADDRESS = ipaddress.ip_address("192.0.2.10")
MAC = bytes.fromhex("020000000001")
PEER = bytes.fromhex("020000000002")
STRANGER = bytes.fromhex("020000000099")


class Shell:
    """An `Observed` with everything it talks to."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.defended: list[pool.Address] = []
        self.reasserted: list[tuple[pool.Address, float]] = []
        self.changes = 0
        self.notices: list[notices.Notice] = []
        self.peers: list[events.PeerView] = []
        self.believed: list[events.AddressView] = []
        self.metrics = metrics.Metrics()
        logger = structlog.wrap_logger(None, processors=[self._line])
        self.observed = observed.Observed(
            "n1",
            logger,
            self.metrics,
            peers=lambda: self.peers,
            addresses=lambda: self.believed,
            mac_of=lambda _: MAC,
            defend=lambda _, address: self.defended.append(address),
            reassert=lambda _, address, now: self.reasserted.append((address, now)),
            changed=self._changed,
            notify=self.notices.append,
        )

    def _changed(self) -> None:
        self.changes += 1

    def _line(self, _: object, method: str, event: Any) -> Any:
        self.lines.append({"level": method, **event})
        raise structlog.DropEvent

    def take(
        self, cause: events.TakeCause = events.TakeCause.VACANT, previous: str | None = None
    ) -> None:
        self.observed.acted(events.Take(ADDRESS, "eth0", cause, previous), 10.0)

    def release(self, cause: events.ReleaseCause, to: str | None = None) -> None:
        self.observed.acted(events.Release(ADDRESS, "eth0", cause, to), 12.5)

    def says(
        self, announced: announcement.Announcement | None = None, now: float = 20.0
    ) -> announcement.Announcement | None:
        return self.observed.wants(known(announced), now)


def known(announced: announcement.Announcement | None = None) -> view.KnownChild:
    made = child.Child("shop", "web-l2-1", "web", "u", "front", ADDRESS, ("n1", "n2"), 1, (), 1)
    return view.KnownChild(made, 0, "1", {}, announced)


def held_by(holder: str | None) -> events.AddressView:
    nodes = ("n1", "n2")
    return events.AddressView("eth0", ADDRESS, nodes, 1, nodes, holder, holder == "n1", "")


def peer(mac: bytes, age_s: float = 0.0) -> events.PeerView:
    fields = dict.fromkeys(events.PeerView.__dataclass_fields__)
    known = {"interface": "eth0", "node": "n2", "mac": mac, "age_s": age_s}
    return events.PeerView(**(fields | known))  # type: ignore[arg-type]


@pytest.fixture
def shell() -> Shell:
    return Shell()


def test_a_taken_address_is_announced_with_node_interface_and_mac(shell: Shell) -> None:
    shell.take()
    assert shell.says() == announcement.Announcement.by(
        ADDRESS, node="n1", interface="eth0", mac="02:00:00:00:00:01"
    )
    assert shell.changes == 1


def test_a_change_of_holder_is_one_line_with_from_to_why_and_after_how_long(shell: Shell) -> None:
    shell.peers = [peer(PEER, age_s=61.0), peer(PEER, age_s=0.2512)]  # its dead former self first
    shell.take(events.TakeCause.HOLDER_DIED, previous="n2")
    (line,) = shell.lines
    assert line["event"] == "holder changed"
    assert (line["address"], line["from"], line["to"]) == ("192.0.2.10", "n2", "n1")
    assert (line["why"], line["after_s"]) == ("holder-died", 0.251)
    assert 'failover_seconds_bucket{le="0.3"} 1' in shell.metrics.render()
    shell.release(events.ReleaseCause.CLAIMED, to="n2")
    line = shell.lines[-1]
    assert (line["from"], line["to"], line["why"]) == ("n1", "n2", "claimed")
    assert line["after_s"] == 2.5


def test_the_user_reads_of_a_move_but_not_of_the_first_holder(shell: Shell) -> None:
    shell.take()
    assert shell.notices == []
    shell.take(events.TakeCause.FAILBACK, previous="n2")
    (notice,) = shell.notices
    assert notice.message == "192.0.2.10 moved from n2 to n1: failback"
    assert not notice.warns


def test_a_released_address_is_another_speakers_to_speak_of(shell: Shell) -> None:
    shell.take()
    shell.release(events.ReleaseCause.CLAIMED, to="n2")
    assert shell.says() is None
    assert not shell.observed.held


def test_that_nobody_took_an_address_over_is_said_while_the_status_names_this_node(
    shell: Shell,
) -> None:
    shell.take()
    shell.release(events.ReleaseCause.LEAVING)
    ours = announcement.Announcement.by(ADDRESS, node="n1", interface="eth0", mac="02:00")
    said = shell.says(ours)
    assert said is not None
    assert said.reason is names.AnnouncedReason.NO_CANDIDATE
    theirs = announcement.Announcement.by(ADDRESS, node="n2", interface="eth0", mac="02:00")
    assert shell.says(theirs) is None
    assert shell.says(None) is None
    shell.take()
    assert shell.says(ours).reason is names.AnnouncedReason.ANNOUNCING  # type: ignore[union-attr]


def test_after_a_stall_nothing_is_said_of_an_address_that_another_holds(shell: Shell) -> None:
    # As with the default fail-back delay: the other one holds it for 30 s, and has yet to say so.
    shell.take()
    shell.release(events.ReleaseCause.STALLED)
    ours = announcement.Announcement.by(ADDRESS, node="n1", interface="eth0", mac="02:00")
    shell.believed = [held_by("n2")]
    assert shell.says(ours, now=22.5) is None
    shell.believed = [held_by(None)]
    said = shell.says(ours, now=30.0)
    assert said is not None
    assert said.reason is names.AnnouncedReason.NO_CANDIDATE


def test_without_a_link_nothing_is_said_before_a_new_holder_could_have_said_it(
    shell: Shell,
) -> None:
    shell.take()
    shell.release(events.ReleaseCause.LINK_DOWN)
    ours = announcement.Announcement.by(ADDRESS, node="n1", interface="eth0", mac="02:00")
    assert shell.says(ours, now=12.4 + observed.UNSEEN_FOR_S) is None
    said = shell.says(ours, now=12.5 + observed.UNSEEN_FOR_S)
    assert said is not None
    assert said.reason is names.AnnouncedReason.NO_CANDIDATE


def test_what_was_given_up_is_forgotten_with_its_child(shell: Shell) -> None:
    shell.take()
    shell.release(events.ReleaseCause.NOT_TAKEN_OVER)
    ours = announcement.Announcement.by(ADDRESS, node="n1", interface="eth0", mac="02:00")
    shell.observed.retain([known()])
    assert shell.says(ours) is not None
    shell.observed.retain([])
    assert shell.says(ours) is None


def test_that_the_preferred_node_has_no_interface_is_said_unless_another_announces(
    shell: Shell,
) -> None:
    shell.observed.nowhere = frozenset({ADDRESS})
    said = shell.says()
    assert said is not None
    assert said.reason is names.AnnouncedReason.NO_INTERFACE
    theirs = announcement.Announcement.by(ADDRESS, node="n2", interface="eth0", mac="02:00")
    assert shell.says(theirs) is None


def test_an_address_in_use_names_the_stranger_until_it_is_free(shell: Shell) -> None:
    shell.observed.acted(events.InUse(ADDRESS, "eth0", STRANGER), 1.0)
    said = shell.says()
    assert said == announcement.Announcement.in_use(ADDRESS, mac="02:00:00:00:00:99")
    shell.observed.acted(events.InUse(ADDRESS, "eth0", STRANGER), 11.0)
    assert len(shell.lines) == 1
    shell.observed.acted(events.Cleared(ADDRESS, "eth0"), 21.0)
    assert shell.says() is None


def test_blocked_heartbeats_are_reported_with_a_remedy(shell: Shell) -> None:
    shell.observed.acted(events.Blocked(ADDRESS, "eth0", "n2", PEER), 1.0)
    said = shell.says()
    assert said is not None
    assert said.reason is names.AnnouncedReason.HEARTBEATS_BLOCKED
    assert "n2" in said.message
    assert "88b5" in said.message


def test_a_strangers_claim_is_reported_and_defended_every_ten_seconds(shell: Shell) -> None:
    shell.take()
    for moment in (11.0, 11.1, 15.0, 20.9, 21.0):
        shell.observed.conflicted("eth0", ADDRESS, STRANGER, moment)
    assert shell.defended == [ADDRESS, ADDRESS]
    said = shell.says(now=22.0)
    assert said is not None
    assert said.reason is names.AnnouncedReason.ADDRESS_CONFLICT
    assert said.node == "n1"
    assert "02:00:00:00:00:99" in said.message
    assert 'conflicts_total{interface="eth0"} 5' in shell.metrics.render()


def test_a_conflict_is_over_when_it_has_not_been_seen_for_long(shell: Shell) -> None:
    shell.take()
    shell.observed.conflicted("eth0", ADDRESS, STRANGER, 11.0)
    said = shell.says(now=11.0 + observed.CONFLICT_OVER_S)
    assert said is not None
    assert said.reason is names.AnnouncedReason.ANNOUNCING


def test_conflicts_that_are_over_make_room_for_others(shell: Shell) -> None:
    def claim(number: int, now: float) -> bool:
        before = len(shell.lines), len(shell.notices), len(shell.defended)
        shell.observed.conflicted("eth0", ADDRESS + number, STRANGER, now)
        after = len(shell.lines), len(shell.notices), len(shell.defended)
        return after == tuple(count + 1 for count in before)

    most = observed.CONFLICTS_MAX
    assert all(claim(number, 10.0) for number in range(most))
    assert claim(0, 20.0)  # again, and so is over last
    assert not claim(most, 9.9 + observed.CONFLICT_OVER_S)
    assert all(claim(most + number, 10.0 + observed.CONFLICT_OVER_S) for number in range(most - 1))
    assert not claim(2 * most, 10.0 + observed.CONFLICT_OVER_S)
    assert claim(2 * most, 20.0 + observed.CONFLICT_OVER_S)


def test_a_peers_claim_is_no_conflict_but_clients_that_believed_it_are_set_right(
    shell: Shell,
) -> None:
    shell.peers = [peer(PEER)]
    shell.observed.conflicted("eth0", ADDRESS, PEER, 10.0)
    assert shell.reasserted == []
    shell.take()
    for quarters in range(8):
        shell.observed.conflicted("eth0", ADDRESS, PEER, 11.0 + quarters / 4)
    assert shell.reasserted == [(ADDRESS, 11.0), (ADDRESS, 12.0)]
    assert shell.defended == []
    assert "conflicts_total{" not in shell.metrics.render()


def test_from_a_node_to_itself_is_no_move(shell: Shell) -> None:
    shell.take(previous="n1")
    shell.release(events.ReleaseCause.CLAIMED, to="n1")
    assert shell.lines == []
    assert shell.notices == []


def test_when_very_many_move_at_once_the_next_line_says_how_many_had_none(shell: Shell) -> None:
    for number in range(observed.LINES_AT_ONCE + 70):
        address = ADDRESS + number
        take = events.Take(address, "eth0", events.TakeCause.HOLDER_DIED, "n2")
        shell.observed.acted(take, 10.0)
    assert len(shell.lines) == observed.LINES_AT_ONCE
    shell.release(events.ReleaseCause.CLAIMED, to="n2")
    assert shell.lines[-1]["changes_without_a_line"] == 70


def test_how_late_and_how_silent_are_counted_without_a_series_for_each_peer(shell: Shell) -> None:
    for node in ("n2", "n3"):
        shell.observed.acted(events.Silence("eth0", node, 0.14), 10.0)
    shell.observed.woken(0.03)
    page = shell.metrics.render()
    assert 'peer_silence_seconds_count{interface="eth0"} 2' in page
    assert "n2" not in page
    assert 'heartbeat_late_seconds_bucket{le="0.05"} 1' in page
    assert 'heartbeat_late_seconds_bucket{le="0.025"} 0' in page


def test_a_flood_of_claims_asks_for_the_peers_once_a_second(shell: Shell) -> None:
    asked = []

    def ask() -> list[events.PeerView]:
        asked.append(1)
        return []

    shell.observed._peers = ask
    for index in range(1000):
        shell.observed.conflicted("eth0", ADDRESS, STRANGER, 11.0 + index / 1000)
    assert len(asked) == 1


def test_an_interface_that_takes_no_heartbeats_has_a_line_a_minute_and_is_no_stall(
    shell: Shell,
) -> None:
    for quarter in range(8):
        shell.observed.could_not_send("eth1", 100.0 + quarter / 4)
        shell.observed.stalled({"eth1"}, 0.05, 100.0 + quarter / 4)
    assert [line["event"] for line in shell.lines] == ["heartbeat not sent"]
    shell.observed.could_not_send("eth1", 160.0)
    shell.observed.stalled({"eth0", "eth1"}, 0.5, 160.0)
    assert [line["event"] for line in shell.lines[1:]] == ["heartbeat not sent", "stalled"]
    assert "stalls_total 1" in shell.metrics.render()


def test_leaving_is_noted(shell: Shell) -> None:
    shell.observed.acted(events.Left(), 1.0)
    assert shell.observed.left


def test_the_same_address_on_two_interfaces_is_announced_while_one_holds_it(shell: Shell) -> None:
    shell.take()
    shell.observed.acted(events.Take(ADDRESS, "eth1", events.TakeCause.VACANT, None), 10.0)
    said = shell.says()
    assert said is not None
    assert said.message.startswith("n1 eth0")
    shell.release(events.ReleaseCause.LINK_DOWN)
    said = shell.says()
    assert said is not None
    assert said.message.startswith("n1 eth1")
