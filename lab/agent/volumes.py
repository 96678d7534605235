# SPDX-License-Identifier: MIT
"""A Pod's volumes, as folders of the machine that its containers are shown."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from lab import api as kube
from lab.agent import container, fields, files, sources, spec, tokens

log = logging.getLogger(__name__)

Json = dict[str, Any]

DEFAULT_MODE = 0o644
DEFAULT_TOKEN_LIFE_S = 3600
RETRY_S = 1.0

Files = Mapping[str, files.File]


class Volumes:
    """The volumes of one Pod below ``directory``, and of its node below ``machine``.

    ``pod`` gives the Pod's present state, for its labels may change.
    """

    def __init__(
        self,
        pod: Callable[[], spec.Pod],
        *,
        facts: fields.Facts,
        directory: Path,
        machine: Path,
        read_from: sources.Sources,
        account: tokens.Tokens,
    ) -> None:
        self._pod = pod
        self._facts = facts
        self._directory = directory
        self._machine = machine
        self._sources = read_from
        self._tokens = account
        self._published: dict[str, Files] = {}

    async def prepare(self) -> None:
        """Fill all volumes; those that are filled already are brought up to date.

        Raises :class:`~lab.agent.container.CannotStartError` when something that
        is not optional does not exist, or can not be had in a lab.
        """
        for volume in self._pod().volumes:
            name = volume["name"]
            directory = self._directory / name
            projected = await self._files(volume)
            if projected is not None:
                if projected != self._published.get(name):
                    files.publish(directory, projected)
                    self._published[name] = projected
            elif "emptyDir" in volume:
                directory.mkdir(parents=True, exist_ok=True)
            elif "hostPath" in volume:
                self._host_path(volume["hostPath"])
            else:
                kinds = ", ".join(sorted(volume.keys() - {"name"}))
                raise _failed(f"the volume {name!r} is a {kinds}, which a lab does not have")

    async def keep(self) -> None:
        """Bring the volumes up to date whenever something in them changes, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                due_s = self._tokens.renew_in_s()
                async with asyncio.timeout(None if due_s == float("inf") else due_s):
                    await self._sources.changed.wait()
            self._sources.changed.clear()
            try:
                await self.prepare()
            except (container.CannotStartError, kube.ApiError, httpx.TransportError) as error:
                # What was mounted stays as it is, as with a kubelet.
                log.info("volumes of %s are not up to date: %r", self._pod().path, error)
                await asyncio.sleep(RETRY_S)
                self._sources.changed.set()

    def mounts(self, wanted: spec.Container) -> Iterator[Json]:
        """Yield what to show to a container, for :mod:`lab.agent.contain`."""
        by_name = {volume["name"]: volume for volume in self._pod().volumes}
        for mount in wanted.mounts:
            volume = by_name[mount.volume]
            source = self._directory / mount.volume
            if "hostPath" in volume:
                source = self._host_path(volume["hostPath"])
            if mount.sub_path:
                source /= mount.sub_path
                if not source.exists():
                    source.mkdir(parents=True)
            # A kubelet lets nobody write to what it may have to replace.
            read_only = mount.read_only or mount.volume in self._published
            yield {"path": mount.path, "source": str(source), "read_only": read_only}

    def _host_path(self, wanted: Json) -> Path:
        kind = wanted.get("type") or ""
        path = self._machine / str(wanted["path"]).lstrip("/")
        if kind in ("", "DirectoryOrCreate"):
            path.mkdir(parents=True, exist_ok=True)
        elif kind == "FileOrCreate":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        elif not path.exists():
            raise _failed(f"hostPath {wanted['path']} of type {kind} does not exist on the node")
        return path

    async def _files(self, volume: Json) -> Files | None:
        """Return a volume's files; None for a volume that is not made of given files."""
        for kind, name_key in (("secret", "secretName"), ("configMap", "name")):
            if kind in volume:
                source = volume[kind]
                # One spelling for both places where the API knows these sources.
                projection = {**source, "name": source[name_key]}
                return await self._projected([{kind: projection}], source)
        if "downwardAPI" in volume:
            source = volume["downwardAPI"]
            return await self._projected([{"downwardAPI": source}], source)
        if "projected" in volume:
            source = volume["projected"]
            return await self._projected(source.get("sources") or (), source)
        return None

    async def _projected(self, parts: Sequence[Json], defaults: Json) -> Files:
        mode = defaults.get("defaultMode")
        default_mode = DEFAULT_MODE if mode is None else mode
        readers: Mapping[str, Callable[[Json], Awaitable[Iterator[tuple[str, bytes, int | None]]]]]
        readers = {
            "secret": lambda part: self._keys("secret", part),
            "configMap": lambda part: self._keys("configMap", part),
            "downwardAPI": self._downward,
            "serviceAccountToken": self._token,
        }
        found: dict[str, files.File] = {}
        for part in parts:
            ((kind, source),) = part.items()
            if kind not in readers:
                raise _failed(f"a projected volume has a {kind}, which a lab does not know")
            for path, content, own_mode in await readers[kind](source):
                file_mode = default_mode if own_mode is None else own_mode
                found[path] = files.File(content, file_mode)
        return found

    async def _keys(
        self, kind: sources.Kind, source: Json
    ) -> Iterator[tuple[str, bytes, int | None]]:
        data = await self._sources.read(kind, source["name"])
        if data is None:
            if source.get("optional"):
                return iter(())
            raise _failed(f"the {kind.lower()} {source['name']!r} does not exist")
        items = source.get("items")
        if items is None:
            return iter([(key, content, None) for key, content in data.items()])
        missing = [item["key"] for item in items if item["key"] not in data]
        if missing and not source.get("optional"):
            raise _failed(f"the {kind.lower()} {source['name']!r} has no keys {missing}")
        present = [item for item in items if item["key"] in data]
        return iter([(item["path"], data[item["key"]], item.get("mode")) for item in present])

    async def _downward(self, source: Json) -> Iterator[tuple[str, bytes, int | None]]:
        found = []
        for item in source.get("items") or ():
            if "fieldRef" not in item:
                raise _failed(f"the file {item['path']!r} is of a resource, which a lab has not")
            path = item["fieldRef"]["fieldPath"]
            content = fields.value(self._pod(), self._facts, path).encode()
            found.append((item["path"], content, item.get("mode")))
        return iter(found)

    async def _token(self, source: Json) -> Iterator[tuple[str, bytes, int | None]]:
        life_s = source.get("expirationSeconds") or DEFAULT_TOKEN_LIFE_S
        token = await self._tokens.get(source.get("audience") or "", life_s)
        return iter([(source["path"], token.encode(), None)])


def _failed(message: str) -> container.CannotStartError:
    return container.CannotStartError("FailedMount", message)
