# SPDX-License-Identifier: MIT
"""What crosses the switch when a node dies, millisecond by millisecond: one cut, recorded.

Heartbeats, ARP and a client's new connections are recorded at the switch while the cable of the
node that the client uses is pulled. With ``--write`` the table and the picture of
docs/design/failure.md are made of it.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.common import lanes, machine, recorder, world
from bench.rivals import ours
from lab import errors, inside

DESIGN: Final = Path(__file__).resolve().parents[1] / "docs" / "design"
PAGE: Final = DESIGN / "failure.md"
PICTURE: Final = DESIGN / "failure.svg"
BEGIN: Final = "<!-- recorded: made by 'python -m bench timeline --write' -->\n"
END: Final = "<!-- /recorded -->\n"
SWITCH: Final = "switch"
SIOCBRDELIF: Final = 0x89A3  # linux/sockios.h: take a port out of a bridge, at once
ADDRESSES: Final = 3
STEADY_S: Final = 1.5
AFTER_S: Final = 3.0
OUTSIDE: Final = 2


@dataclasses.dataclass(frozen=True)
class Recording:
    """One cut. `frames` have their time in milliseconds from it; none left the cut port after 0."""

    address: str
    victim: str
    client: str
    frames: Sequence[recorder.Seen]

    def rows(self) -> Iterator[tuple[float, str, str]]:
        """Yield what happened: milliseconds from the cut, who, what."""
        yield from sorted(self._happened(), key=lambda row: row[0])

    def _happened(self) -> Iterator[tuple[float, str, str]]:
        dead = [one for one in self.frames if one.port == self._port(self.victim)]
        epoch = next(one.epoch for one in dead if one.kind == "beat")
        last = max(one.at for one in dead if one.kind == "beat")
        yield last, self.victim, "its last heartbeat that reaches the switch"
        yield 0, "", f"**the cable of {self.victim} is pulled**"
        after = [one for one in self.frames if one.at > 0]
        lost = self.unanswered()
        if lost:
            yield lost[0], self.client, "the first new connection that gets no answer"
        for number, ask in enumerate(self._asks(after, epoch), start=1):
            text = "asks it for a heartbeat by name" if number == 1 else "asks again"
            yield ask.at, ask.node, text
        claim = next(one for one in after if self._is_claim(one))
        yield claim.at, claim.node, f"claims {self.address} in its next heartbeat, sent at once"
        told = [one for one in after if one.port == claim.port and self._is_announcement(one)]
        yield told[0].at, claim.node, "announces it by gratuitous ARP; the client sends there now"
        for again in self._spaced(told[1:], told[0].at):
            yield again.at, claim.node, "announces it again"
        answered = [one.at for one in after if one.kind == "answered" and one.port == claim.port]
        yield answered[0], claim.node, "**the first new connection is answered**"

    def unanswered(self) -> list[float]:
        """Return when the client started connections whose first packet got no answer."""
        served = self._served()
        return [one.at for one in self._attempts() if one.connection not in served]

    def answered(self) -> list[float]:
        """Return when it started the others."""
        served = self._served()
        return [one.at for one in self._attempts() if one.connection in served]

    def picture(self, first_ms: float, last_ms: float) -> str:
        """Return this part of it as an SVG document."""
        beats: dict[str, list[float]] = {}
        for one in self.frames:
            if one.kind == "beat":
                beats.setdefault(one.node, []).append(one.at)
        epoch = next(one.epoch for one in self.frames if one.node == self.victim)
        after = [one for one in self.frames if one.at > 0]
        heir = next(one.node for one in after if self._is_claim(one))
        others = sorted(set(beats) - {self.victim, heir})
        drawn = [
            lanes.Lane(f"{self.victim}: heartbeats", lanes.PLAIN, beats[self.victim]),
            *(lanes.Lane(f"{name}: heartbeats", lanes.PLAIN, beats[name]) for name in others),
            lanes.Lane(f"{heir}: heartbeats", lanes.PLAIN, beats[heir]),
            lanes.Lane("it is asked for", lanes.ASKED, [a.at for a in self._asks(after, epoch)]),
            lanes.Lane(
                f"{heir}: announces",
                lanes.TOLD,
                [one.at for one in after if self._is_announcement(one)],
            ),
            lanes.Lane("new connections: served", lanes.GOOD, self.answered()),
            lanes.Lane("no answer", lanes.BAD, self.unanswered()),
        ]
        return lanes.svg(drawn, first=first_ms, last=last_ms, mark="cable pulled")

    def _attempts(self) -> list[recorder.Seen]:
        """Return the first packet of each connection; the client repeats it when it is lost."""
        found: dict[int, recorder.Seen] = {}
        for one in self.frames:
            if one.kind == "syn" and (one.port, one.target) == (self._port("client"), self.address):
                found.setdefault(one.connection, one)
        return list(found.values())

    def _served(self) -> set[int]:
        """Return the connections whose first packet was answered before it had to be repeated."""
        sent: dict[int, int] = {}
        served: set[int] = set()
        for one in self.frames:
            if one.kind == "syn" and one.target == self.address:
                sent[one.connection] = sent.get(one.connection, 0) + 1
            elif one.kind == "answered" and sent.get(one.connection) == 1:
                served.add(one.connection)
        return served

    def _asks(self, after: Sequence[recorder.Seen], epoch: str) -> list[recorder.Seen]:
        """Return the first of the peers that asks, with all its asks."""
        asks = [one for one in after if epoch in one.asked]
        return [one for one in asks if one.port == asks[0].port]

    def _is_claim(self, one: recorder.Seen) -> bool:
        return self.address in (one.held or ()) and one.port != self._port(self.victim)

    def _is_announcement(self, one: recorder.Seen) -> bool:
        return one.kind == "arp" and one.sender == one.target == self.address

    @staticmethod
    def _spaced(frames: Sequence[recorder.Seen], start: float) -> Iterator[recorder.Seen]:
        """Yield the first frame of each burst: a request and a reply count once."""
        last = start
        for one in frames:
            if one.at - last > 20:  # noqa: PLR2004  # ms; repeats are 100 ms apart and more
                yield one
            last = one.at

    @staticmethod
    def _port(name: str) -> str:
        return f"{recorder.PORTS}{name}"


@contextlib.contextmanager
def recording() -> Iterator[list[recorder.Seen]]:
    """Record while the context is open; the list is filled when it closes."""
    argv = [sys.executable, "-I", str(Path(recorder.__file__).resolve())]
    found: list[recorder.Seen] = []
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            if not (process.stdout and process.stdout.readline() == "started\n"):
                raise errors.LabError("the recorder did not start: its message stands above")
            yield found
            output, _ = process.communicate("")
        finally:
            process.kill()
    found += [recorder.Seen(**one) for one in json.loads(output)]


def pull(port: str) -> float:
    """Take a port out of the switch; return when, in seconds since the epoch."""
    request = struct.pack("16si20x", SWITCH.encode(), socket.if_nametoindex(port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        before = time.time()
        fcntl.ioctl(opened, SIOCBRDELIF, request)
        return (before + time.time()) / 2


def record(place: world.World) -> Recording:
    """Serve some addresses, pull the cable of the node that the client uses, and plug it in."""
    one = ours.Ours(place.lab, place.nodes)
    one.install()
    addresses = one.serve(ADDRESSES)
    place.settle(addresses, one.preferred())
    place.refresh(addresses)
    address = addresses[0]
    with recording() as frames, place.client.watch([address]):
        time.sleep(STEADY_S)
        victim = place.used_node(address)
        mac = place.client.mac_of(address)
        cut = pull(f"port-{victim}")
        inside.until(
            lambda: place.client.mac_of(address) not in {mac, None}, "another node answers"
        )
        time.sleep(AFTER_S)
    place.plug(victim)
    return Recording(address, victim, "client", list(since(frames, cut, f"port-{victim}")))


def since(frames: Sequence[recorder.Seen], cut: float, port: str) -> Iterator[recorder.Seen]:
    """Yield frames with their time in ms from the cut, without what the cut port sent after it."""
    for one in frames:
        if one.at <= cut or one.port != port:
            yield dataclasses.replace(one, at=(one.at - cut) * 1000)


def page(text: str, recorded: Recording, told: str) -> str:
    """Return the page with the recording in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "".join(f"| {at:+.0f} | {who} | {what} |\n" for at, who, what in recorded.rows())
    return (
        f"{before}{BEGIN}![Heartbeats, announcements and connections around the cut]"
        f"({PICTURE.name})\n\n| ms | who | what |\n| ---: | --- | --- |\n{table}\n"
        f"{told}\n{END}{after}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Record a cut in the lab that this process is in; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench timeline", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options = parser.parse_args(arguments)
    try:
        lab = inside.Lab()
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return OUTSIDE
    place = world.World(lab)
    place.prepare()
    before = machine.Moment.now()
    recorded = record(place)
    busy = machine.Moment.now().busy_percent_since(before)
    for at, who, what in recorded.rows():
        print(f"{at:+8.1f} ms  {who:8} {what}")
    lost = recorded.unanswered()
    told = (
        f"Of {len(recorded.answered()) + len(lost)} new connections, one every 20 ms, "
        f"{len(lost)} got no answer to their first packet. Recorded on "
        f"{time.strftime('%Y-%m-%d', time.gmtime())} with {len(place.nodes)} balancer nodes, on "
        f"{machine.describe()['cores']} cores that were {busy} % busy with everything."
    )
    print(told)
    if options.write:
        PAGE.write_text(page(PAGE.read_text("utf-8"), recorded, told), encoding="utf-8")
        PICTURE.write_text(recorded.picture(-150, 500), encoding="utf-8")
    return 0
