# SPDX-License-Identifier: MIT
"""Every metric of the speaker, and their text exposition.

Own code because the usual client library is Apache-2.0-only, which may not be combined with
scapy's GPL-2.0-only in one process. Format: Prometheus text exposition 0.0.4.
"""

import bisect
import itertools
from collections.abc import Iterator
from typing import Final

from speaker.protocol import events

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Metric:
    """A family of samples, one for each combination of label values."""

    kind = "untyped"

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name = f"l2lb_speaker_{name}"
        self.text = text
        self.labels = labels

    def lines(self) -> Iterator[str]:
        """Yield the samples."""
        raise NotImplementedError

    def _series(self, values: tuple[str, ...], suffix: str = "", **more: str) -> str:
        pairs = itertools.chain(zip(self.labels, values, strict=True), more.items())
        inner = ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs)
        return f"{self.name}{suffix}{{{inner}}}" if inner else f"{self.name}{suffix}"


class Counter(_Metric):
    """A number that only rises."""

    kind = "counter"

    def __init__(self, name: str, text: str, *labels: str) -> None:
        super().__init__(name, text, *labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, amount: float = 1.0) -> None:
        """Raise the series of these label values."""
        self._values[values] = self._values.get(values, 0.0) + amount

    def set(self, *values: str, total: float) -> None:
        """Take over a total that is counted elsewhere."""
        self._values[values] = total

    def lines(self) -> Iterator[str]:
        """Yield the samples."""
        for values, number in sorted(self._values.items()):
            yield f"{self._series(values)} {_number(number)}"


class Gauge(Counter):
    """A number that rises and falls."""

    kind = "gauge"

    def clear(self) -> None:
        """Forget all series."""
        self._values.clear()


class Histogram(_Metric):
    """Observations counted in buckets with these upper bounds."""

    kind = "histogram"

    def __init__(self, name: str, text: str, *labels: str, bounds: tuple[float, ...]) -> None:
        super().__init__(name, text, *labels)
        self._bounds = bounds
        empty: dict[tuple[str, ...], list[int]] = {(): [0] * (len(bounds) + 1)}
        self._counts = {} if labels else empty
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, *values: str, number: float) -> None:
        """Count an observation."""
        counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
        counts[bisect.bisect_left(self._bounds, number)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + number

    def lines(self) -> Iterator[str]:
        """Yield the samples."""
        for values, counts in sorted(self._counts.items()):
            totals = itertools.accumulate(counts)
            for bound, total in zip((*self._bounds, float("inf")), totals, strict=True):
                yield f"{self._series(values, '_bucket', le=_number(bound))} {total}"
            yield f"{self._series(values, '_sum')} {_number(self._sums[values])}"
            yield f"{self._series(values, '_count')} {sum(counts)}"


class Metrics:
    """All metrics of one speaker; names begin with `l2lb_speaker_`."""

    def __init__(self) -> None:
        self.held = Gauge("held_addresses", "Addresses this node answers for.", "interface")
        self.unannounced = Gauge(
            "unannounced_addresses",
            "Addresses of an interface that nobody is known to announce.",
            "interface",
        )
        self.taken = Counter("taken_total", "Addresses taken, by cause.", "interface", "cause")
        self.released = Counter(
            "released_total", "Addresses released, by cause.", "interface", "cause"
        )
        self.failover = Histogram(
            "failover_seconds",
            "From the last heartbeat of a dead holder to taking its address.",
            bounds=(0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0),
        )
        self.peers = Gauge("peers", "Speakers heard on an interface.", "interface")
        self.deaf = Gauge("deaf_peers", "Of them, those that do not hear this node.", "interface")
        self.alone = Gauge(
            "alone", "1 while nobody is heard although lists name other nodes.", "interface"
        )
        self.peer_changes = Counter(
            "peer_changes_total", "Peers that came (up) or went.", "interface", "cause"
        )
        self.interval = Gauge(
            "heartbeat_interval_seconds",
            "Between our own heartbeats: longer in a large group, and after stalls.",
            "interface",
        )
        self.late = Histogram(
            "heartbeat_late_seconds",
            "How late our own heartbeats and deaths were seen to, after the time for it.",
            bounds=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0),
        )
        self.silences = Histogram(
            "peer_silence_seconds",
            "How long a live peer had been silent that was asked, in proportion to its interval.",
            "interface",
            bounds=(0.11, 0.125, 0.15, 0.175, 0.2, 0.25, 0.5, 1.0),
        )
        self.heartbeats_dropped = Counter(
            "heartbeats_dropped_total", "Heartbeat frames that changed nothing.", "reason"
        )
        self.stalls = Counter("stalls_total", "Times this process was stopped or starved.")
        self.answered = Counter("answered_total", "Requests answered.", "interface", "protocol")
        self.ignored = Counter(
            "ignored_total", "Frames not answered, by reason.", "interface", "protocol", "reason"
        )
        self.queue_full = Counter(
            "queue_full_total",
            "Frames the kernel dropped because the queue was full.",
            "interface",
            "protocol",
        )
        self.unsent = Counter(
            "unsent_total", "Frames the kernel did not take.", "interface", "protocol"
        )
        self.conflicts = Counter(
            "conflicts_total", "Frames of strangers that claim an address held here.", "interface"
        )
        self.blocked = Gauge(
            "blocked_addresses",
            "Addresses not taken because somebody else answers, or for want of an interface.",
            "reason",
        )
        self.pool = Gauge("pool_addresses", "Addresses of a balancer's pool.", "balancer", "family")
        self.assigned = Gauge(
            "assigned_addresses", "Addresses that Services have of it.", "balancer", "family"
        )
        self.keys = Gauge(
            "keys", "1 for the ids of the heartbeat keys accepted, best first.", "ids"
        )
        self.fitness = Gauge("fitness_rank", "0 well to 4 draining.")
        self.watch_age = Gauge(
            "watch_age_seconds", "Since the API server last gave a sign of life.", "resource"
        )
        self.watch_faults = Counter("watch_faults_total", "Failed lists and watches.", "resource")
        self.status_writes = Counter("status_writes_total", "Statuses written.", "outcome")
        self.events_lost = Counter("events_lost_total", "Events that could not be written.")
        self.resident = Gauge("resident_bytes", "Memory of this process.")

    @property
    def believed(self) -> tuple[Gauge, ...]:
        """The gauges whose series come and go with what is believed."""
        return (
            *(self.held, self.unannounced, self.blocked),
            *(self.peers, self.deaf, self.alone, self.interval, self.keys),
        )

    def start(self, interface: str) -> None:
        """Show an interface's counters from the start: a rise from nothing is not seen as one."""
        self.conflicts.add(interface, amount=0)
        for taken in events.TakeCause:
            self.taken.add(interface, taken.value, amount=0)
        for lost in events.PeerCause:
            if lost is not events.PeerCause.HEARD:
                self.peer_changes.add(interface, lost.value, amount=0)

    def render(self) -> str:
        """Return the exposition."""
        lines: list[str] = []
        for metric in vars(self).values():
            lines.append(f"# HELP {metric.name} {metric.text}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.lines())
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(number: float) -> str:
    if number == float("inf"):
        return "+Inf"
    return str(int(number)) if number == int(number) else repr(number)
