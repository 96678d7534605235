# SPDX-License-Identifier: MIT
"""Whether the memory and the file descriptors of processes stay flat over a soak."""

import dataclasses
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

WARM_SHARE = 1 / 3  # of the samples, while caches fill
FEWEST = 6  # samples that a judgement needs
MOST_MB = 8.0  # growth of the line through the samples; a leak of hours is a leak of minutes too
CACHES_MB = {"webhook": 32.0}  # what it remembers of 6,144 children, which takes hours to fill
MOST_FILES = 8.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One look at a process; time in seconds."""

    at: float
    resident_mb: float
    files: int


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """By how much the line through the samples after warming up rises from its start to its end.

    First and last are the samples themselves, the first one that is not warming up.
    """

    samples: int
    resident_mb: float
    files: float
    first: Sample
    last: Sample
    most_mb: float = MOST_MB

    def __str__(self) -> str:
        return (
            f"{self.first.resident_mb:.1f} to {self.last.resident_mb:.1f} MB, "
            f"{self.first.files} to {self.last.files} files; the line through {self.samples} "
            f"samples rises by {self.resident_mb:+g} MB and {self.files:+g} files"
        )

    @property
    def flat(self) -> bool:
        """Whether neither grows."""
        return self.resident_mb <= self.most_mb and self.files <= MOST_FILES


class Growths:
    """The samples of every process, by a name for people and the process's id."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, int], list[Sample]] = {}

    def look(self, name: str, process: int, at: float) -> None:
        """Take one sample; a process that has ended meanwhile has none."""
        folder = Path(f"/proc/{process}")
        try:
            status = (folder / "status").read_text(encoding="utf-8")
            files = len(list((folder / "fd").iterdir()))
        except (FileNotFoundError, ProcessLookupError):
            return
        resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        if resident:
            self.add(name, process, Sample(at, int(resident[0]) / 1024, files))

    def add(self, name: str, process: int, sample: Sample) -> None:
        """Take a sample in."""
        self._samples.setdefault((name, process), []).append(sample)

    def unjudged(self, names: Iterable[str]) -> Iterator[str]:
        """Return a sentence for each of these of which no process lived long enough."""
        judged = [name.rpartition(" ")[0] for name, _ in self.judged()]
        for name in names:
            if name not in judged:
                yield f"{name} was looked at too few times to judge its memory: soak for longer"

    def judged(self) -> Iterator[tuple[str, Growth]]:
        """Return the growth of every process that lived long enough."""
        for (name, process), samples in self._samples.items():
            warm = samples[int(len(samples) * WARM_SHARE) :]
            if len(warm) >= FEWEST:
                yield (
                    f"{name} ({process})",
                    Growth(
                        len(warm),
                        _rise(warm, [sample.resident_mb for sample in warm]),
                        _rise(warm, [float(sample.files) for sample in warm]),
                        warm[0],
                        warm[-1],
                        CACHES_MB.get(name, MOST_MB),
                    ),
                )


def _rise(samples: Sequence[Sample], values: Sequence[float]) -> float:
    times = [sample.at for sample in samples]
    slope = statistics.linear_regression(times, values).slope
    return round(slope * (times[-1] - times[0]), 2)
