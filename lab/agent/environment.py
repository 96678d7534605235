# SPDX-License-Identifier: MIT
"""A container's environment and command line, as its Pod describes them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from lab.agent import container, fields, sources, spec

Json = dict[str, Any]

Read = Callable[[sources.Kind, str], Awaitable[Mapping[str, bytes] | None]]

REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


async def resolve(
    pod: spec.Pod,
    wanted: spec.Container,
    *,
    facts: fields.Facts,
    read: Read,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment: ``inherited``, then envFrom, then env, the later over the earlier.

    Raises :class:`~lab.agent.container.CannotStartError` for a reference to
    what does not exist and is not optional.
    """
    environment = dict(inherited)
    for source in wanted.env_from:
        for kind in sources.COLLECTIONS:
            reference = source.get(f"{kind}Ref")
            if reference is not None:
                data = await _data(kind, reference, read)
                prefix = source.get("prefix") or ""
                environment |= {f"{prefix}{key}": text.decode() for key, text in data.items()}
    for variable in wanted.env:
        text = await _value(pod, variable, facts, read, environment)
        if text is not None:
            environment[variable["name"]] = text
    return environment


async def _value(
    pod: spec.Pod, variable: Json, facts: fields.Facts, read: Read, before: Mapping[str, str]
) -> str | None:
    origin = variable.get("valueFrom")
    if origin is None:
        return expand(variable.get("value") or "", before)
    if "fieldRef" in origin:
        return fields.value(pod, facts, origin["fieldRef"]["fieldPath"])
    for kind in sources.COLLECTIONS:
        reference = origin.get(f"{kind}KeyRef")
        if reference is None:
            continue
        data = await _data(kind, reference, read)
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if reference.get("optional"):
            return None
        raise container.CannotStartError(
            "CreateContainerConfigError",
            f"the {kind.lower()} {reference['name']!r} has no key {reference['key']!r}",
        )
    raise container.CannotStartError(
        "CreateContainerConfigError",
        f"the variable {variable['name']!r} comes from {', '.join(origin)}, which a lab does not "
        "know: use fieldRef, secretKeyRef or configMapKeyRef",
    )


async def _data(kind: sources.Kind, reference: Json, read: Read) -> Mapping[str, bytes]:
    data = await read(kind, reference["name"])
    if data is None and not reference.get("optional"):
        raise container.CannotStartError(
            "CreateContainerConfigError", f"the {kind.lower()} {reference['name']!r} does not exist"
        )
    return data or {}


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace each ``$(NAME)`` that is known; ``$$`` stands for one dollar sign."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return environment.get(match[2], match[0])

    return REFERENCE.sub(replacement, text)
