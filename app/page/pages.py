# SPDX-License-Identifier: MIT
"""What is shown at which path, as HTML. Pure but for the reader that is passed in."""

import dataclasses
import datetime as dt
import functools
import urllib.parse
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

import jinja2

from app.explain import model
from app.explain import reading as explained
from app.page import assets, grid, reading, words

MAX_MOVES: Final = 25
FEW: Final = (
    40  # up to so many rows, the overview shows all of a balancer and not only what is wrong
)

Look = Callable[[explained.Objects], model.ClusterView]


class Reader(Protocol):
    """Where the cluster's state comes from."""

    def state(self) -> reading.State:
        """Return what is known now. Never raises."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A request: `page` is overview, balancer, services or service.

    `number` counts the pages of a long list from 1, `text` is looked for in names, and `troubled`
    leaves out what is fine.
    """

    page: str
    namespace: str = ""
    name: str = ""
    number: int = 1
    text: str = ""
    troubled: bool = False

    @property
    def depth(self) -> int:
        """How many folders its path is below the page's root."""
        return {"balancer": 1, "service": 2}.get(self.page, 0)


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """A whole page."""

    status: HTTPStatus
    body: str


class Pages:
    """Makes pages. What is worked out of a reading is kept as long as the reading."""

    def __init__(self, reader: Reader, look: Look, *, clock: Callable[[], dt.datetime]) -> None:
        self._reader = reader
        self._look = look
        self._clock = clock
        self._seen: tuple[reading.Reading, model.ClusterView] | None = None

    def answer(self, wanted: Wanted) -> Answer:
        """Return the page for a request."""
        state = self._reader.state()
        now = self._clock()
        if state.reading is None:
            return nothing_read(state.error, depth=wanted.depth)
        view = self._view(state.reading)
        shown = {
            "cluster": view,
            "error": state.error,
            "events_left_out": state.reading.events_left_out,
            "now": now,
            "read_at": state.reading.at,
            "wanted": wanted,
        }
        match wanted.page:
            case "overview":
                return _page("overview.html", shown | _overview(view), depth=0)
            case "services":
                return _page("services.html", shown | _services(view, wanted), depth=0)
            case "balancer":
                return _balancer(view, wanted, shown)
            case _:
                return _service(view, wanted, shown)

    def _view(self, read: reading.Reading) -> model.ClusterView:
        if self._seen is None or self._seen[0] is not read:
            self._seen = read, self._look(read.objects)
        return self._seen[1]


def message(title: str, text: str, *, status: HTTPStatus, depth: int = 0) -> Answer:
    """Return a page that holds nothing but a sentence."""
    return _page("message.html", {"title": title, "text": text}, depth=depth, status=status)


def nothing_read(error: str, *, depth: int = 0) -> Answer:
    """Return the page for the time before the first whole reading."""
    return message(
        "Nothing to show yet",
        f"{error}. Nothing has been read since this page was started.",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        depth=depth,
    )


def _overview(view: model.ClusterView) -> dict[str, Any]:
    known = {one.name for one in view.balancers}
    return {
        "panels": [_panel(balancer) for balancer in view.balancers],
        "homeless": [one for one in view.services if one.balancer not in known][:FEW],
        "moves": view.moves[:MAX_MOVES],
        "troubles": _troubles(view),
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """A balancer on the overview; `whole` is whether nothing is left out of its lists."""

    balancer: model.BalancerView
    grid: grid.Grid
    services: tuple[model.ServiceView, ...]
    whole: bool


def _panel(balancer: model.BalancerView) -> Panel:
    whole = len(balancer.addresses) <= FEW and len(balancer.services) <= FEW
    addresses: Sequence[model.AddressView] = balancer.addresses
    services: Sequence[model.ServiceView] = balancer.services
    if not whole:
        addresses = [one for one in addresses if one.state.level > model.Level.GOOD][:FEW]
        services = [one for one in services if one.level > model.Level.GOOD][:FEW]
    return Panel(balancer, grid.of(balancer.nodes, addresses), tuple(services), whole)


def _troubles(view: model.ClusterView) -> dict[model.Level, int]:
    """Return how many Services there are a level, the gravest first, those that are fine too."""
    counts = dict.fromkeys(sorted(model.Level, reverse=True), 0)
    for service in view.services:
        counts[service.level] += 1
    return counts


def _services(view: model.ClusterView, wanted: Wanted) -> dict[str, Any]:
    text = wanted.text.casefold()
    found = [
        one
        for one in view.services
        if text in f"{one.namespace}/{one.name}".casefold()
        and (one.level > model.Level.GOOD or not wanted.troubled)
    ]
    return {"slice": grid.sliced(found, wanted.number)}


def _balancer(view: model.ClusterView, wanted: Wanted, shown: dict[str, Any]) -> Answer:
    found = next((one for one in view.balancers if one.name == wanted.name), None)
    if found is None:
        return message(
            "No such balancer",
            f"There is no L2LoadBalancer {wanted.name!r}: 'kubectl get l2lb' lists what there is.",
            status=HTTPStatus.NOT_FOUND,
            depth=1,
        )
    addresses = [
        one for one in found.addresses if one.state.level > model.Level.GOOD or not wanted.troubled
    ]
    part = grid.sliced(addresses, wanted.number)
    lacking = [one for one in found.services if not one.addresses]
    return _page(
        "balancer.html",
        shown
        | {
            "balancer": found,
            "grid": grid.of(found.nodes, part.items),
            "slice": part,
            "lacking": lacking[: grid.ROWS],
            "lacking_total": len(lacking),
        },
        depth=1,
    )


def _service(view: model.ClusterView, wanted: Wanted, shown: dict[str, Any]) -> Answer:
    found = view.service(wanted.namespace, wanted.name)
    if found is None:
        return message(
            "No such Service",
            f"No Service {wanted.namespace}/{wanted.name} names a balancer: 'kubectl -n "
            f"{wanted.namespace} get services' lists those there are, and the annotation "
            "load-balancer makes one ours.",
            status=HTTPStatus.NOT_FOUND,
            depth=2,
        )
    nodes = next((one.nodes for one in view.balancers if one.name == found.balancer), ())
    return _page(
        "service.html",
        shown | {"service": found, "grid": grid.of(nodes, found.addresses)},
        depth=2,
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "age": words.age,
        "clock": words.clock,
        "counted": words.counted,
        "machine": words.machine,
        "quoted": functools.partial(urllib.parse.quote, safe=""),
    }
    environment.globals |= {
        "Level": model.Level,
        "COUNTED": words.COUNTED,
        "LEVELS": words.LEVELS,
        "MARKS": words.MARKS,
        "version": assets.VERSION,
    }
    return environment


_ENVIRONMENT: Final = _environment()


def _page(
    template: str, shown: dict[str, Any], *, depth: int, status: HTTPStatus = HTTPStatus.OK
) -> Answer:
    # Relative, so that a page works behind any prefix, as the API server's proxy has one.
    root = "../" * depth or "./"
    return Answer(status, _ENVIRONMENT.get_template(template).render(shown, root=root))
