# SPDX-License-Identifier: MIT
"""Series as Prometheus would have them, recorded in the lab, in the notation of `promtool test`.

`python -m lab run --nodes 4 -- python -m tools.series [SCENE...]` plays scenes and writes what the
speakers and the webhook showed meanwhile into `tests/data/series/`; `make series` does all of them.
Only metrics that an alert speaks of are kept.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from lab import errors, inside, release
from tools import scenes

ROOT: Final = Path(__file__).resolve().parents[1]
ALERTS: Final = ROOT / "chart" / "alerts" / "l2lb.yaml"
FOLDER: Final = ROOT / "tests" / "data" / "series"
EVERY_S: Final = 5.0
SCRAPE_WITHIN_S: Final = 4.0
_SAMPLE: Final = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")

Scrape = Mapping[str, float]  # by series, such as `up{node="a"}`


class Recording:
    """Scrapes one after another, the same time apart."""

    def __init__(self) -> None:
        self._scrapes: list[Scrape] = []

    def add(self, scrape: Scrape) -> None:
        """Append a scrape; a series that is not in it is stale from then on."""
        self._scrapes.append(scrape)

    def notation(self) -> dict[str, str]:
        """Return the values of each series, by its name, as promtool reads them."""
        names = sorted(set().union(*self._scrapes))
        return {name: notation([scrape.get(name) for scrape in self._scrapes]) for name in names}


def notation(values: Sequence[float | None]) -> str:
    """Write samples as promtool reads them: `1x2` is 1 three times, `_` is none, then it is stale.

    >>> notation([None, 0, 0, 0, 2.5, None])
    '_ 0x2 2.5 stale'
    """
    words: list[str] = []
    for value, run in itertools.groupby(values):
        count = len(list(run))
        if value is None:
            if words:
                words.append("stale")
                count -= 1
            words += ["_" if count == 1 else f"_x{count}"] if count else []
        else:
            words.append(_number(value) if count == 1 else f"{_number(value)}x{count - 1}")
    return " ".join(words)


def samples(exposition: str, names: frozenset[str], **target: str) -> Iterator[tuple[str, float]]:
    """Yield the series of these names with the target's labels added, and their values."""
    added = ",".join(f'{label}="{value}"' for label, value in target.items())
    for line in exposition.splitlines():
        match = _SAMPLE.fullmatch(line)
        if match is not None and match["name"] in names:
            labels = ",".join(filter(None, [match["labels"], added]))
            yield f"{match['name']}{{{labels}}}", float(match["value"])


def spoken_of() -> frozenset[str]:
    """Return the names of the metrics that alerts speak of."""
    return frozenset(re.findall(r"\bl2lb_\w+", ALERTS.read_text(encoding="utf-8")))


def scrape(lab: inside.Lab, nodes: Sequence[str], names: frozenset[str]) -> Scrape:
    """Return what a Prometheus would get now; who does not answer in time is missing."""

    def of_speaker(node: str) -> list[tuple[str, float]]:
        url = f"{release.SPEAKER_PAGES}metrics"
        text = lab.fetch(node, url, within_s=SCRAPE_WITHIN_S)
        return list(samples(text, names, node=node))

    def of_webhook() -> list[tuple[str, float]]:
        pages = release.webhook_pages(lab, "metrics")
        return [
            sample
            for number, text in enumerate(pages)
            for sample in samples(text, names, pod=f"l2lb-webhook-{number}")
        ]

    found: dict[str, float] = {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(of_webhook), *(pool.submit(of_speaker, node) for node in nodes)]
        for answer in waiting:
            try:
                found.update(answer.result())
            except inside.CommandError:
                continue
    return found


@contextlib.contextmanager
def recording(lab: inside.Lab) -> Iterator[Recording]:
    """Scrape from beginning to end; raises what kept it from going on."""
    made, over = Recording(), threading.Event()
    nodes, names = lab.nodes(), spoken_of()

    def scrape_on() -> None:
        due = time.monotonic()
        while True:
            made.add(scrape(lab, nodes, names))
            due += EVERY_S
            if over.wait(max(0.0, due - time.monotonic())):
                return

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        scraping = pool.submit(scrape_on)
        try:
            yield made
        finally:
            over.set()
            scraping.result()


def write(name: str, made: Recording, told: str) -> Path:
    """Write a recording as promtool's `interval` and `input_series`; return the file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.yaml"
    content = {
        "interval": f"{EVERY_S:.0f}s",
        "input_series": [
            {"series": series, "values": values} for series, values in made.notation().items()
        ],
    }
    head = (
        f"# SPDX-License-Identifier: MIT\n# Recorded by 'python -m tools.series {name}': {told}\n"
    )
    scratch = path.with_suffix(".new")
    scratch.write_text(head + yaml.safe_dump(content, sort_keys=False, width=1000), "utf-8")
    scratch.replace(path)
    return path


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def main() -> int:
    """Play scenes and write their recordings."""
    parser = argparse.ArgumentParser(prog="python -m tools.series", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*scenes.ALL, []],  # the empty list, which Python 3.11 looks up as well
        metavar="SCENE",
        help=f"by default all: {', '.join(scenes.ALL)}",
    )
    names = parser.parse_args().names or list(scenes.ALL)
    try:
        stage = scenes.Stage(inside.Lab())
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return 1
    status = 0
    for name in names:
        scene = scenes.ALL[name]
        try:
            with stage.built(), contextlib.ExitStack() as played, recording(stage.lab) as made:
                played.enter_context(scene(stage))  # and undone after the recording
        except (errors.LabError, inside.CommandError, TimeoutError) as error:
            print(f"{name} is not recorded: {error}", file=sys.stderr)
            status = 1
        else:
            print(write(name, made, " ".join(str(scene.__doc__).split())), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
