# SPDX-License-Identifier: MIT
"""What was last known of the cluster in a file, for a start while the API server is away."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Final

from speaker import errors
from speaker.cluster import api, view, watch

_FORMAT: Final = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Remembered:
    """What a cache file holds, as watches would have told it; without `node` it said nothing."""

    children: watch.Snapshot
    balancers: watch.Snapshot
    node: watch.Snapshot | None


class Cache:
    """The cache file; replaced atomically, by one writer. Without a path nothing is kept."""

    def __init__(self, path: pathlib.Path | None) -> None:
        self._path = path

    def read(self) -> Remembered | None:
        """Return what was last written; None when there is nothing.

        Raises SpeakerError when the file is there and unreadable.
        """
        if self._path is None:
            return None
        try:
            content = json.loads(self._path.read_bytes())
            if content["format"] != _FORMAT:
                return None
            node = content.get("node")
            return Remembered(
                children=_snapshot(content["children"]),
                balancers=_snapshot(content["balancers"]),
                node=None if node is None else _snapshot([node]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise errors.SpeakerError(
                f"cache {self._path} is not readable ({error}): it is ignored and written anew"
            ) from error

    def write(
        self,
        children: Iterable[view.KnownChild],
        balancers: Iterable[view.Balancer],
        node: view.OwnNode | None,
    ) -> None:
        """Replace the file; raises SpeakerError when that fails, and the old one stands."""
        if self._path is None:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)  # of a speaker that was killed, maybe as another user
            new.touch(mode=0o600, exist_ok=False)
            try:
                with new.open("wb") as file:
                    for text in _texts(children, balancers, node):
                        file.write(text.encode())
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise errors.SpeakerError(
                f"cache {self._path} can not be written ({error}): a restart while the API "
                "server is away would announce nothing"
            ) from error


def _texts(
    children: Iterable[view.KnownChild],
    balancers: Iterable[view.Balancer],
    node: view.OwnNode | None,
) -> Iterator[str]:
    """Yield the file's content object by object.

    A thread that encodes all of it in one call lets no other thread run meanwhile, and one of them
    has to beat.
    """
    yield f'{{"format":{_FORMAT},"node":'
    yield _json(None if node is None else view.node_manifest(node))
    for name, manifests in (
        ("children", map(view.child_manifest, children)),
        ("balancers", map(view.balancer_manifest, balancers)),
    ):
        yield f',"{name}":['
        for number, manifest in enumerate(manifests):
            yield ("," if number else "") + _json(manifest)
        yield "]"
    yield "}"


def _json(manifest: api.Manifest | None) -> str:
    return json.dumps(manifest, separators=(",", ":"))


def _snapshot(manifests: list[api.Manifest]) -> watch.Snapshot:
    return watch.Snapshot({watch.key_of(manifest): manifest for manifest in manifests})
