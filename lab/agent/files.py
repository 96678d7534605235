# SPDX-License-Identifier: MIT
"""Files that others read while they are replaced."""

import itertools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

DATA = "..data"

_generations = itertools.count(1)


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and mode."""

    content: bytes
    mode: int = 0o644


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees either all of the old or all of the new."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def publish(directory: Path, files: Mapping[str, File]) -> None:
    """Let a directory hold exactly these files, all of them replaced at one instant.

    ``files`` are by relative path. They lie in a folder that the link
    ``..data`` names, and are reached through links of their own to that one, as
    a kubelet lays volumes out: a program that watches ``..data`` sees changes.
    """
    generation = directory / f"..{next(_generations)}"
    generation.mkdir(parents=True, mode=0o755)
    for name, file in files.items():
        path = generation / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    data = directory / DATA
    before = data.resolve() if data.is_symlink() else None
    fresh = directory / f"{DATA}_tmp"
    fresh.symlink_to(generation.name)
    fresh.replace(data)
    visible = {PurePosixPath(name).parts[0] for name in files}
    for name in visible:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if before is not None:
        shutil.rmtree(before)
