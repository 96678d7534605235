# SPDX-License-Identifier: MIT
"""Requests and answers of Metacontroller's hooks, version v2.

A request is first split into its objects, and each object is read on its own: so one that is
broken does not cost the others, and what came before, byte for byte, need not be read again.
"""

import collections
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, TypeVarTuple

import msgspec
import pydantic
from typing_extensions import TypedDict

from app import errors
from app.models import kubernetes

SERVICES: Final = "Service.v1"
NODES: Final = "Node.v1"
NAMESPACES: Final = "Namespace.v1"
BALANCERS: Final = "L2LoadBalancer.l2lb.io/v1alpha1"

Objects = dict[str, msgspec.Raw]  # by namespace/name, or by name where there is no namespace


class CompositeSync(msgspec.Struct, frozen=True):
    """A composite controller's sync request, split; the maps' first key is kind and version."""

    parent: msgspec.Raw
    children: dict[str, Objects]
    related: dict[str, Objects]


class DecoratorSync(msgspec.Struct, frozen=True):
    """A decorator controller's sync request, split."""

    object: msgspec.Raw
    related: dict[str, Objects]


class LoneDecoratorSync(msgspec.Struct, frozen=True):
    """A sync request of a decorator controller without a customize hook, split."""

    object: msgspec.Raw


class Customize(msgspec.Struct, frozen=True):
    """A customize request, split."""

    parent: msgspec.Raw


# What the API document says of the same requests.
Services = dict[str, kubernetes.Service]
Children = TypedDict("Children", {"Service.v1": Services}, total=False)
BalancerRelated = TypedDict(
    "BalancerRelated",
    {
        "L2LoadBalancer.l2lb.io/v1alpha1": dict[str, kubernetes.Balancer],
        "Namespace.v1": dict[str, kubernetes.Named],
        "Node.v1": dict[str, kubernetes.Named],
        "Service.v1": Services,
    },
    total=False,
)


class BalancerSyncRequest(TypedDict):
    """What CompositeController l2lb-balancer asks."""

    parent: kubernetes.Balancer
    children: Children
    related: BalancerRelated


class ServiceSyncRequest(TypedDict):
    """What DecoratorController l2lb-service asks."""

    object: kubernetes.ServiceWithHistory
    related: Children


class CleanupSyncRequest(TypedDict):
    """What DecoratorController l2lb-service-cleanup asks."""

    object: kubernetes.ServiceWithHistory


class CustomizeBalancerRequest(TypedDict):
    """The customize request for a balancer."""

    parent: kubernetes.Balancer


class CustomizeServiceRequest(TypedDict):
    """The customize request for a Service."""

    parent: kubernetes.Named


class LabelSelector(pydantic.BaseModel):
    """A label selector; an empty one is left out."""

    matchLabels: dict[str, str]  # noqa: N815  # the name on the wire


class RelatedRule(pydantic.BaseModel):
    """One rule for related objects."""

    apiVersion: str  # noqa: N815  # the name on the wire
    resource: str
    namespace: str | None = None
    labelSelector: LabelSelector | None = None  # noqa: N815  # the name on the wire


class CustomizeAnswer(pydantic.BaseModel):
    """Which other objects Metacontroller sends along."""

    relatedResources: list[RelatedRule]  # noqa: N815  # the name on the wire


class BalancerSyncAnswer(pydantic.BaseModel):
    """Every child that should exist, and the balancer's whole status."""

    status: dict[str, Any]
    children: list[dict[str, Any]]
    resyncAfterSeconds: float = 0  # noqa: N815  # the name on the wire


class ServiceSyncAnswer(pydantic.BaseModel):
    """Labels to merge (null deletes) and, unless it stays as it is, the whole status."""

    labels: dict[str, str | None] | None = None
    status: dict[str, Any] | None = None
    resyncAfterSeconds: float = 0  # noqa: N815  # the name on the wire


class ErrorAnswer(pydantic.BaseModel):
    """Why there is no answer."""

    error: str


_Request = TypeVar("_Request")
_Object = TypeVar("_Object")
_Reading = TypeVar("_Reading")
_More = TypeVarTuple("_More")
_HINT: Final = "send the request as Metacontroller does, like the files in examples/hooks"


def split(decoder: msgspec.json.Decoder[_Request], body: bytes) -> _Request:
    """Return a request's parts. Raises NotJsonError or MalformedRequestError saying what is wrong.

    The parts are views of `body`, which lives as long as they do.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise errors.MalformedRequestError(f"{error}; {_HINT}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise errors.NotJsonError(f"the body is no JSON: {error}; {_HINT}") from None


def read(shape: pydantic.TypeAdapter[_Object], raw: bytes) -> _Object:
    """Read one object. Raises ObjectError naming the field that is not as its kind has it."""
    try:
        return shape.validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the object"
        raise errors.ObjectError(f"{where}: {first['msg']}") from None


class Remembered(Generic[_Reading, *_More]):
    """What reads an object, and remembers it by its bytes, as nearly all come again at each sync.

    All that is remembered was read from `most_bytes` at most, and takes about as much again. What
    was read first is forgotten first; if it is still there, it is read once more. An object that
    cannot be read is read anew each time. Not for several threads.
    """

    def __init__(self, read: Callable[[bytes, *_More], _Reading], most_bytes: int) -> None:
        self._read = read
        self._most_bytes = most_bytes
        self._bytes = 0
        # Of a plain dict the first is found the more slowly, the more before it were forgotten.
        self._known: collections.OrderedDict[tuple[bytes, *_More], _Reading] = (
            collections.OrderedDict()
        )

    def __call__(self, raw: bytes, *more: *_More) -> _Reading:
        """Return what an object is. Raises what reading it does."""
        asked = (raw, *more)
        try:
            return self._known[asked]
        except KeyError:
            pass
        found = self._known[asked] = self._read(*asked)
        self._bytes += len(raw)
        while self._bytes > self._most_bytes:
            (first, *_), _ = self._known.popitem(last=False)
            self._bytes -= len(first)
        return found

    def forget(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._bytes = 0


def needed(shape: pydantic.TypeAdapter[_Object], raw: msgspec.Raw, part: str) -> _Object:
    """Read the object that a request is about. Raises MalformedRequestError naming the part."""
    try:
        return read(shape, bytes(raw))
    except errors.ObjectError as error:
        raise errors.MalformedRequestError(f"{part}: {error}; {_HINT}") from None


def ordered(value: Any) -> Any:
    """Return a value that is echoed, with all its maps in the order of their keys."""
    if isinstance(value, Mapping):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(one) for one in value]
    return value


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return the bytes of an answer; equal answers built in equal order give equal bytes."""
    return msgspec.json.encode(answer)
