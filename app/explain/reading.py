# SPDX-License-Identifier: MIT
"""The API server's lists, read once: each object into a value, or into a sentence about it."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import pydantic

from app import annotations, conditions, errors, pending
from app.balancer import spec
from app.explain import model, moves, nodes
from app.models import kubernetes
from app.service import user
from contract import announcement, child, durations, names, pool
from contract import errors as contract_errors

Key = tuple[str, str]  # namespace, and name or UID
_Shape = TypeVar("_Shape")
# What an object raises that is shaped like no object of an API server.
_MALFORMED: Final = (AttributeError, KeyError, TypeError, ValueError)


@dataclasses.dataclass(frozen=True, slots=True)
class Objects:
    """What the API server lists, items as its JSON has them, in any order.

    `services` may be all Services of the cluster; those that concern nobody here are skipped.
    `nodes` is None where they may not be seen: then nothing is said against any of them.
    """

    balancers: Sequence[Any] = ()
    services: Sequence[Any] = ()
    nodes: Sequence[Any] | None = ()
    events: Sequence[Any] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Balancer:
    """A balancer, with the parts of its object that only people read.

    `answered` is the generation that a hook has answered last, 0 before the first.
    """

    spec: spec.Balancer
    entries: tuple[str, ...]
    failback_delay: str
    families: tuple[model.Family, ...]
    answered: int


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A user's Service, the conditions that stand on it, and whether its label mirrors ours.

    The keys are those by which it names a count and addresses, ours or aliases.
    """

    user: user.UserService
    ip_count_key: str
    addresses_key: str
    labelled: bool
    conditions: tuple[Mapping[str, Any], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """A child Service that exists, and what a speaker last said of it."""

    child: child.Child
    announcement: announcement.Announcement | None
    terminating: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """All that could be read.

    `children` are by the namespace and UID of their Service, and so are `notes`, which say why
    Services lack addresses. `nodes` is None where they may not be seen.
    """

    balancers: Mapping[str, Balancer]
    services: tuple[Service, ...]
    children: Mapping[Key, tuple[Child, ...]]
    notes: Mapping[Key, conditions.Verdict]
    nodes: Mapping[str, nodes.Node] | None
    moves: tuple[model.Move, ...]
    problems: tuple[str, ...]


def read(objects: Objects, keys: annotations.Keys) -> Reading:
    """Read all lists; what cannot be read becomes a problem and stops nothing else."""
    reader = _Reader(keys)
    for manifest in _in_order(objects.balancers):
        reader.take(names.KIND, manifest, reader.balancer)
    for manifest in _in_order(objects.nodes or ()):
        reader.take("Node", manifest, reader.node)
    for manifest in _in_order(objects.services):
        reader.take("Service", manifest, reader.service)
    return Reading(
        balancers=reader.balancers,
        services=tuple(reader.services),
        children={
            service: tuple(sorted(children, key=_child_order))
            for service, children in reader.children.items()
        },
        notes=reader.notes,
        nodes=reader.nodes if objects.nodes is not None else None,
        moves=moves.read(objects.events),
        problems=tuple(reader.problems),
    )


class _Reader:
    """Takes one object after the other."""

    def __init__(self, keys: annotations.Keys) -> None:
        self._keys = keys
        self.balancers: dict[str, Balancer] = {}
        self.services: list[Service] = []
        self.children: dict[Key, list[Child]] = {}
        self.notes: dict[Key, conditions.Verdict] = {}
        self.nodes: dict[str, nodes.Node] = {}
        self.problems: list[str] = []

    def take(self, kind: str, manifest: Any, read: Callable[[Any], None]) -> None:
        """Read an object, or note what is wrong with it."""
        try:
            read(manifest)
        except contract_errors.ContractError as error:
            self.problems.append(str(error))
        except errors.ObjectError as error:
            self.problems.append(f"{kind} {_name(manifest)} cannot be read: {error}")
        except _MALFORMED:
            self.problems.append(
                f"{kind} {_name(manifest)} cannot be read: it does not look like one of an API "
                "server"
            )

    def balancer(self, manifest: Any) -> None:
        """Take an L2LoadBalancer."""
        shaped = _shaped(kubernetes.BALANCER, manifest)
        read = spec.read(shaped)
        written = shaped["spec"]
        self.balancers[read.name] = Balancer(
            spec=read,
            entries=tuple(written["addressPool"]),
            failback_delay=written.get("failbackDelay")
            or durations.format_duration(read.failback_delay_s),
            families=tuple(_families(manifest.get("status") or {})),
            answered=(shaped.get("status") or {}).get("observedGeneration", 0),
        )

    def node(self, manifest: Any) -> None:
        """Take a Node."""
        node = nodes.Node.read(manifest)
        self.nodes[node.name] = node

    def service(self, manifest: Any) -> None:
        """Take a Service: a child, a note about one that is missing, or a user's."""
        shaped = _shaped(kubernetes.SERVICE, manifest)
        metadata = shaped.get("metadata") or {}
        labels = metadata.get("labels") or {}
        if labels.get(names.PROXY_NAME_LABEL) == names.PROXY_NAME:
            self._child(shaped, terminating=bool(metadata.get("deletionTimestamp")))
        elif pending.is_note(shaped):
            verdict = pending.decode(shaped)
            if verdict is not None:
                self.notes[metadata["namespace"], labels[names.CHILD_SERVICE_UID]] = verdict
        else:
            self._users(shaped)

    def _child(self, manifest: kubernetes.Service, *, terminating: bool) -> None:
        read = child.decode(manifest)
        said = announcement.decode_status(manifest, address=read.address)
        self.children.setdefault((read.namespace, read.service_uid), []).append(
            Child(read, said, terminating)
        )

    def _users(self, manifest: kubernetes.Service) -> None:
        """Take a Service that names a balancer, or carries our traces; skip any other."""
        metadata, status = manifest.get("metadata") or {}, manifest.get("status") or {}
        standing = tuple(status.get("conditions") or ())
        labelled = names.SERVICE_BALANCER in (metadata.get("labels") or {})
        notes = metadata.get("annotations") or {}
        named = annotations.balancer_of(notes, self._keys) is not None
        if named or labelled or conditions.find(standing, names.ASSIGNED_CONDITION):
            self.services.append(
                Service(
                    user=user.read(manifest, self._keys),
                    ip_count_key=annotations.written(notes, self._keys.ip_count),
                    addresses_key=annotations.written(notes, self._keys.addresses),
                    labelled=labelled,
                    conditions=standing,
                )
            )


def _shaped(shape: pydantic.TypeAdapter[_Shape], manifest: Any) -> _Shape:
    """Return the fields of an object that its kind has. Raises ObjectError naming a wrong one."""
    try:
        return shape.validate_python(manifest, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the object"
        raise errors.ObjectError(f"{where}: {first['msg']}") from None


def _in_order(manifests: Iterable[Any]) -> list[Any]:
    """Return objects by namespace and name; one that comes twice, once."""
    known = {}
    for number, manifest in enumerate(manifests):
        known[_name(manifest), _uid(manifest) or number] = manifest
    return sorted(known.values(), key=_name)


def _metadata(manifest: Any) -> Mapping[str, Any]:
    metadata = manifest.get("metadata") if isinstance(manifest, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}


def _name(manifest: Any) -> str:
    metadata = _metadata(manifest)
    parts = (str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return "/".join(parts) or "without a name"


def _uid(manifest: Any) -> str:
    return str(_metadata(manifest).get("uid", ""))


def _child_order(one: Child) -> tuple[int, int, str]:
    """Sort siblings by family, then by their number, which the length of the name sorts first."""
    return one.child.address.version, len(one.child.name), one.child.name


def _families(status: Mapping[str, Any]) -> Iterator[model.Family]:
    """Yield the counts that a hook wrote; none where somebody else's words stand."""
    counted = status.get("addresses")
    for version in pool.VERSIONS:
        counts = counted.get(f"ipv{version}") if isinstance(counted, Mapping) else None
        if isinstance(counts, Mapping):
            total, assigned, free = (counts.get(name) for name in ("total", "assigned", "free"))
            if isinstance(total, int) and isinstance(assigned, int) and isinstance(free, int):
                yield model.Family(version, total, assigned, free)
