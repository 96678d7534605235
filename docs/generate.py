# SPDX-License-Identifier: MIT
"""`python -m docs.generate`: writes docs/reference/ anew from the code.

Names, types and defaults come from where the programs read them themselves; a sentence that the
code does not hold stands in texts.yaml.
"""

import argparse
import enum
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import prometheus_client.metrics
import yaml

from app import metrics as webhook_metrics
from app import settings as webhook_settings
from app.balancer import status
from contract import move, names
from speaker import metrics as speaker_metrics
from speaker import settings as speaker_settings
from speaker.protocol import events, frame
from speaker.wire import reasons

DOCS: Final = Path(__file__).resolve().parent
REFERENCE: Final = DOCS / "reference"
CRD: Final = DOCS.parent / "metacontroller" / "crd.yaml"
NOTICE: Final = "<!-- Made by `python -m docs.generate`; change the code or docs/texts.yaml. -->\n"
MARKUP: Final = str.maketrans({"|": "\\|", "\n": " "})

Row = Sequence[str]


class TextsError(Exception):
    """texts.yaml and the code do not name the same things."""


def pages() -> dict[str, str]:
    """Return every page of the reference by its file name. Raises TextsError."""
    texts = yaml.safe_load((DOCS / "texts.yaml").read_text(encoding="utf-8"))
    made: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "crd.md": _crd,
        "annotations.md": _annotations,
        "settings.md": _settings,
        "metrics.md": _metrics,
        "conditions.md": _conditions,
    }
    return {name: NOTICE + make(texts) for name, make in made.items()}


def main() -> int:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


def fields(schema: Mapping[str, Any], path: str) -> Iterator[Row]:
    """Yield a row for each field below an object of an OpenAPI schema, in its order."""
    required = set(schema.get("required", ()))
    for name, below in schema.get("properties", {}).items():
        where = f"{path}.{name}"
        kind = _kind(below)
        limits = "".join(_limits(below))
        yield f"`{where}`", kind, _default(below, name in required), _sentence(below) + limits
        if kind == "list of objects":
            yield from fields(below["items"], f"{where}[]")
        else:
            yield from fields(below, where)


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema["type"] == "array":
        return f"list of {schema['items']['type']}s"
    if "additionalProperties" in schema:
        return f"map of {schema['additionalProperties']['type']}s"
    return str(schema["type"])


def _default(schema: Mapping[str, Any], is_required: bool) -> str:  # noqa: FBT001  # a table's cell
    if "default" in schema:
        value = schema["default"]
        return f"`{value if isinstance(value, str) else json.dumps(value)}`"
    return "required" if is_required else ""


def _sentence(schema: Mapping[str, Any]) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _limits(schema: Mapping[str, Any]) -> Iterator[str]:
    for key, words in {
        "maxItems": "At most {} entries.",
        "maxProperties": "At most {} entries.",
        "maxLength": "At most {} characters.",
    }.items():
        if key in schema and not schema.get("x-kubernetes-int-or-string"):
            yield " " + words.format(schema[key])
    if "enum" in schema:
        yield f" One of {', '.join(map(str, schema['enum']))}."


def _crd(_: Mapping[str, Any]) -> str:
    crd = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    version = crd["spec"]["versions"][0]
    whole = version["schema"]["openAPIV3Schema"]
    head = ("field", "type", "default", "meaning")
    columns = [
        (column["name"], f"`{column['jsonPath']}`", column.get("description", ""))
        for column in version["additionalPrinterColumns"]
    ]
    return (
        f"# {names.KIND}\n\n`{names.API_VERSION}`, cluster-scoped, short name "
        f"`{crd['spec']['names']['shortNames'][0]}`. {_sentence(whole)}\n\n"
        "What can be known to be wrong is refused by `kubectl apply` with a sentence that says "
        "what would be right.\n\n"
        f"## spec\n\n{table(head, fields(whole['properties']['spec'], 'spec'))}\n"
        "## status\n\nWritten by the webhook. The conditions are `Ready`, `PoolValid` and "
        "`AddressesAvailable`, with [these reasons](conditions.md#on-a-balancer).\n\n"
        f"{table(head, fields(whole['properties']['status'], 'status'))}\n"
        "## Columns of `kubectl get l2lb`\n\n"
        f"{table(('column', 'field', 'meaning'), columns)}"
    )


def _annotations(texts: Mapping[str, Any]) -> str:
    users = _named("SERVICE_", without={"SERVICE_CLASS"})
    labels = {names.PROXY_NAME_LABEL, names.CHILD_SERVICE_UID, names.CHILD_BALANCER}
    childs = _named("CHILD_", without={"CHILD_CLASS"}) - labels
    head = ("key", "meaning")
    return (
        "# Annotations and labels\n\n"
        "## On your Service\n\n"
        f"A Service is ours if it has the annotation `{names.SERVICE_BALANCER}`, is of type "
        f"LoadBalancer, and has the class `{names.SERVICE_CLASS}` (recommended) or none. With any "
        "other class it is not, whatever its annotations.\n\n"
        f"{table(head, _told(users, texts['annotations']))}\n"
        "The prefix can be changed, and foreign keys can be accepted as ours: "
        "[`annotations.prefix` and `annotations.aliases`](../../chart/README.md#values) of the "
        f"chart. A label of the same name as `{names.SERVICE_BALANCER}` mirrors the annotation, "
        "because Metacontroller can find Services by their labels only.\n\n"
        "## On a Node\n\n"
        f"`{names.EXCLUDE_LABEL}` keeps a node from holding addresses, unless the balancer's "
        "`ignoreExcludeLabel` says otherwise. kubeadm puts it on control planes.\n\n"
        "## On a child Service\n\n"
        "To be read, not to be written: there is one child an address, made by Metacontroller, and "
        "a policy keeps others from changing it. Its class is "
        f"`{names.CHILD_CLASS}`.\n\n"
        f"{table(('label', 'meaning'), _told(labels, texts['child_labels']))}\n"
        f"{table(('annotation', 'meaning'), _told(childs, texts['child_annotations']))}"
    )


def _named(prefix: str, *, without: set[str]) -> set[str]:
    return {
        value
        for name, value in vars(names).items()
        if name.startswith(prefix) and name not in without and isinstance(value, str)
    }


def _settings(_: Mapping[str, Any]) -> str:
    return (
        "# Settings of the programs\n\n"
        "The chart sets these from its [values](../../chart/README.md#values); you need them only "
        "to run a program by hand. Each flag is an environment variable as well, and the flag "
        "wins.\n\n"
        "## The webhook\n\n`python -m app`. It needs no setting to start.\n\n"
        f"{_flags(webhook_settings._parser())}\n"  # noqa: SLF001  # the flags are what it parses
        "## The speaker\n\n`python -m speaker`. It needs `--node-name` and the keys.\n\n"
        f"{_flags(speaker_settings._parser({}))}"  # noqa: SLF001  # likewise
    )


def _flags(parser: argparse.ArgumentParser) -> str:
    rows = []
    for action in parser._actions:  # noqa: SLF001  # argparse shows them in no other way
        if action.dest == "help":
            continue
        (flag,) = action.option_strings
        variable = webhook_settings.ENVIRONMENT_PREFIX + action.dest.upper()
        text = str(action.help)
        if action.choices:
            text += f": {', '.join(map(str, action.choices))}"
        default = f"`{action.default}`" if action.default else ""
        before, said, after = text.partition(" (default: ")
        if said:
            default = after.removesuffix(")")
            default = default if " " in default else f"`{default}`"
        rows.append((f"`{flag}`", f"`{variable}`", default, before))
    return table(("flag", "variable", "default", "meaning"), rows)


def _metrics(texts: Mapping[str, Any]) -> str:
    head = ("metric", "type", "labels", "meaning")
    ours = [
        (f"`{metric.name}`", metric.kind, _code(metric.labels), metric.text)
        for metric in vars(speaker_metrics.Metrics()).values()
        if isinstance(metric, speaker_metrics.Counter | speaker_metrics.Histogram)
    ]
    webhooks = [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            _code(metric._labelnames),  # noqa: SLF001  # the library keeps them to itself
            family.documentation,
        )
        for metric in vars(webhook_metrics).values()
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase)
        for family in metric.describe()
    ]
    labels = {
        "`cause` of `l2lb_speaker_taken_total`": (events.TakeCause, "take_causes"),
        "`cause` of `l2lb_speaker_released_total`": (events.ReleaseCause, "release_causes"),
        "`cause` of `l2lb_speaker_peer_changes_total`": (events.PeerCause, "peer_causes"),
        "`reason` of `l2lb_speaker_heartbeats_dropped_total`": (frame.Drop, "drops"),
        "`reason` of `l2lb_speaker_ignored_total`": (reasons.Ignored, "ignored"),
    }
    values = "\n".join(
        f"### {title}\n\n{table(('value', 'meaning'), _told([m.value for m in kind], texts[key]))}"
        for title, (kind, key) in labels.items()
    )
    ranks = [
        (str(rank.value), text)
        for rank, (_, text) in zip(
            events.Rank, _told([r.name for r in events.Rank], texts["ranks"]), strict=True
        )
    ]
    return (
        "# Metrics\n\n"
        "Both programs serve `/metrics` for Prometheus. The chart has a ServiceMonitor for the "
        "webhook and a PodMonitor for the speakers, "
        "[off by default](../../chart/README.md#values); "
        "the speakers' pages are on the node's localhost unless `speaker.listen` is `node`.\n\n"
        f"## The speaker\n\n{table(head, ours)}\n"
        "## The webhook\n\nBesides these, those that every Python process has.\n\n"
        f"{table(head, webhooks)}\n"
        f"## Values of labels\n\n{values}\n"
        f"### `l2lb_speaker_fitness_rank`\n\n{table(('value', 'meaning'), ranks)}"
    )


def _conditions(texts: Mapping[str, Any]) -> str:
    return (
        "# Conditions and Events\n\n"
        "The message beside a reason names the objects and the values, and says what would be "
        "right. A new reason is also an Event, which `kubectl describe` shows.\n\n"
        "## On your Service\n\n"
        f"Condition `{names.ASSIGNED_CONDITION}`, written by the webhook; True with the first of "
        "these reasons.\n\n"
        f"{_remedies(names.AssignedReason, texts['assigned'])}\n"
        "## On a child Service\n\n"
        f"Condition `{names.ANNOUNCED_CONDITION}`, written by the speaker that announces; True "
        "with the first two of these reasons. Those that want somebody to act are Events on the "
        "user's Service too.\n\n"
        f"{_remedies(names.AnnouncedReason, texts['announced'])}\n"
        f"Condition `{names.EVER_ANNOUNCED_CONDITION}` is True, and its message begins with the "
        "child's address, from the first announcement of this address on, whatever becomes of it "
        "later. A stranger that uses it from then on is a conflict, and the Service keeps it.\n\n"
        "## On a balancer\n\n"
        "Conditions `Ready`, `PoolValid` and `AddressesAvailable`, written by the webhook.\n\n"
        f"{_remedies(status.Reason, texts['balancer'])}\n"
        "## Other Events\n\n"
        f"{table(('reason', 'meaning'), _told([move.REASON], texts['events']))}"
    )


def _remedies(kind: type[enum.StrEnum], texts: Mapping[str, Any]) -> str:
    _agree([reason.value for reason in kind], texts)
    rows = [
        (f"`{reason.value}`", texts[reason.value]["means"], texts[reason.value].get("do", ""))
        for reason in kind
    ]
    return table(("reason", "what it means", "what to do"), rows)


def _told(found: Iterable[str], texts: Mapping[str, str]) -> list[Row]:
    """Return a row for each name, in the order of the sentences."""
    _agree(found, texts)
    return [(f"`{name}`", text) for name, text in texts.items()]


def _agree(found: Iterable[str], texts: Mapping[str, Any]) -> None:
    found = set(found)
    if missing := sorted(found - set(texts)):
        raise TextsError(f"docs/texts.yaml has no sentence for {', '.join(missing)}: write one")
    if idle := sorted(set(texts) - found):
        raise TextsError(
            f"docs/texts.yaml speaks of {', '.join(idle)}, which the code does not know"
        )


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.translate(MARKUP) for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
