# SPDX-License-Identifier: MIT
"""What users write on their Services: keys, their prefix and aliases, and the values' meaning."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Final, Self

from app import errors
from app.placement import model
from contract import names, pool

_LABEL_VALUE: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_SHARING_KEY: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_IP_COUNT: Final = re.compile(r"[0-9]{1,9}")  # Python refuses to read thousands of digits
_MAX_ADDRESSES: Final = len(pool.VERSIONS) * names.MAX_IP_COUNT


class AnnotationError(errors.ObjectError):
    """An annotation with a value that means nothing; the Service stays as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """The annotation keys in force: of each, our own first, then its aliases."""

    balancer: tuple[str, ...] = (names.SERVICE_BALANCER,)
    ip_count: tuple[str, ...] = (names.SERVICE_IP_COUNT,)
    addresses: tuple[str, ...] = (names.SERVICE_ADDRESSES,)
    sharing_key: tuple[str, ...] = (names.SERVICE_SHARING_KEY,)

    @classmethod
    def of(cls, *, prefix: str = names.GROUP, aliases: Mapping[str, str] | None = None) -> Self:
        """Return the keys under `prefix`; `aliases` maps a foreign key to the name of ours.

        The names are `load-balancer`, `ip-count`, `addresses` and `sharing-key`. Raises
        SettingsError for any other.
        """
        found: dict[str, list[str]] = {
            name: [f"{prefix}/{name}"]
            for name in ("load-balancer", "ip-count", "addresses", "sharing-key")
        }
        for alias, name in sorted((aliases or {}).items()):
            if name not in found:
                raise errors.SettingsError(
                    f"alias {alias!r} stands for {name!r}, which is no key of ours: write one of "
                    f"{', '.join(found)}"
                )
            found[name].append(alias)
        return cls(
            balancer=tuple(found["load-balancer"]),
            ip_count=tuple(found["ip-count"]),
            addresses=tuple(found["addresses"]),
            sharing_key=tuple(found["sharing-key"]),
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """What a user asks for. `ip_count` is None where the balancer decides."""

    balancer: str
    ip_count: model.Count = None
    addresses: tuple[pool.Address, ...] = ()
    sharing_key: str | None = None


def balancer_of(annotations: Mapping[str, str], keys: Keys) -> str | None:
    """Return the balancer that is named, unjudged; None where none is."""
    return annotations.get(written(annotations, keys.balancer))


def written(annotations: Mapping[str, str], keys: tuple[str, ...]) -> str:
    """Return which of the keys of one meaning a Service carries; ours where it carries none."""
    return next((key for key in keys if key in annotations), keys[0])


def ask(annotations: Mapping[str, str], keys: Keys) -> Ask:
    """Read what a Service asks for. Raises AnnotationError naming key, value and remedy."""
    key, name = _one(annotations, keys.balancer)
    if name is None or not _LABEL_VALUE.fullmatch(name):
        raise AnnotationError(
            f"annotation {key} is {errors.shown(name)}, which cannot be the name of an "
            "L2LoadBalancer: write one that 'kubectl get l2lb' lists"
        )
    return Ask(
        balancer=name,
        ip_count=_ip_count(*_one(annotations, keys.ip_count)),
        addresses=_addresses(*_one(annotations, keys.addresses)),
        sharing_key=_sharing_key(*_one(annotations, keys.sharing_key)),
    )


def _one(annotations: Mapping[str, str], keys: tuple[str, ...]) -> tuple[str, str | None]:
    """Return the key that is used and its value; the same value under two keys is one."""
    used = [key for key in keys if key in annotations]
    if not used:
        return keys[0], None
    for other in used[1:]:
        if annotations[other] != annotations[used[0]]:
            raise AnnotationError(
                f"annotations {used[0]} ({errors.shown(annotations[used[0]])}) and {other} "
                f"({errors.shown(annotations[other])}) contradict each other: keep one of them"
            )
    return used[0], annotations[used[0]]


def _ip_count(key: str, value: str | None) -> model.Count:
    if value is None:
        return None
    if value == names.AUTO:
        return model.AUTO
    if _IP_COUNT.fullmatch(value) and 1 <= int(value) <= names.MAX_IP_COUNT:
        return int(value)
    raise AnnotationError(
        f"annotation {key} is {errors.shown(value)}: write a number from 1 to "
        f"{names.MAX_IP_COUNT}, or auto"
    )


def _addresses(key: str, value: str | None) -> tuple[pool.Address, ...]:
    if value is None:
        return ()
    texts = value.split(",", _MAX_ADDRESSES)
    if len(texts) > _MAX_ADDRESSES:
        raise AnnotationError(
            f"annotation {key} names more than {_MAX_ADDRESSES} addresses: name fewer"
        )
    addresses: dict[pool.Address, None] = {}
    for text in texts:
        try:
            address = pool.parse_address(text.strip())
        except ValueError:
            raise AnnotationError(
                f"annotation {key} is {errors.shown(value)}, and {errors.shown(text.strip())} in "
                "it is no address: write addresses separated by commas and without zones, like "
                "192.0.2.10,192.0.2.11"
            ) from None
        if address in addresses:
            raise AnnotationError(
                f"annotation {key} is {errors.shown(value)}, which names {address} twice: name it "
                "once"
            )
        addresses[address] = None
    for version in pool.VERSIONS:
        if sum(address.version == version for address in addresses) > names.MAX_IP_COUNT:
            raise AnnotationError(
                f"annotation {key} names more than {names.MAX_IP_COUNT} IPv{version} addresses: "
                "name fewer"
            )
    return tuple(addresses)


def _sharing_key(key: str, value: str | None) -> str | None:
    if value is None or _SHARING_KEY.fullmatch(value):
        return value
    raise AnnotationError(
        f"annotation {key} is {errors.shown(value)}: write at most 63 letters, digits, '-', "
        "'_' and '.', beginning and ending with a letter or digit"
    )
