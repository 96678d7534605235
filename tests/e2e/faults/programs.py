# SPDX-License-Identifier: MIT
"""What can go wrong with a program, done to those of the lab and undone."""

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab import errors, inside, network, release

Json = dict[str, Any]

CHECKOUT = Path(__file__).resolve().parents[3]
KEYS_DIR = ("--keys-dir", "/etc/l2lb/keys")  # as speaker/settings.py has them
STARTED = '"event": "started"'
CACHE_FILE = ("--cache-file", "/run/l2lb/speaker.json")


class Programs:
    """The programs of the lab."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab

    def kill(self, *names: str) -> None:
        """End programs at once, as SIGKILL and the kernel's out-of-memory killer do."""
        for name in names:
            self._lab.change("process", "kill", name)

    def start(self, *names: str) -> None:
        """Start programs that were ended."""
        for name in names:
            self._lab.change("process", "start", name)

    @contextlib.contextmanager
    def killed(self, *names: str) -> Iterator[None]:
        """Keep programs down that were killed."""
        ended: list[str] = []
        try:
            for name in names:
                self.kill(name)
                ended.append(name)
            yield
        finally:
            self.start(*ended)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Keep a program down that was asked to end."""
        self._lab.change("process", "stop", name)
        try:
            yield
        finally:
            self.start(name)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Let a program stand still, as SIGSTOP, a frozen machine or a long swap do."""
        self._lab.change("process", "pause", name)
        try:
            yield
        finally:
            self._lab.change("process", "continue", name)

    def until_ready(self, node: str) -> None:
        """Wait until a node's speaker says that it knows what to announce."""
        url = f"{release.SPEAKER_PAGES}readyz"
        inside.until(lambda: self._lab.fetch(node, url), f"the speaker of {node} is ready")

    def speaker(self, node: str) -> "Speaker":
        """Return the speaker that runs on a node."""
        there = {int(word) for word in self._lab.run(None, "ip", "netns", "pids", node).split()}
        for process in there & set(running("speaker")):
            words = Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8")
            return Speaker(self._lab, process, tuple(words.rstrip("\0").split("\0")))
        raise errors.LabError(f"no speaker runs on {node}: start it first")

    @contextlib.contextmanager
    def replaced(self, node: str, other: "Speaker", *, prelude: str) -> Iterator[None]:
        """Run another speaker in place of a node's, which is killed; Python runs in it first."""
        with self.killed(f"speaker-{node}"), other.copy(node, prelude=prelude):
            yield


def running(module: str) -> list[int]:
    """Return the processes that run a Python module as their program."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = (folder / "cmdline").read_text(encoding="utf-8").split("\0")
                if words[1:3] == ["-m", module]:
                    found.append(int(folder.name))
    return found


def first_started(logs: Path, since: float) -> float | None:
    """Return when the first of the speakers started that stay up; none has since: None.

    A speaker that started more than once stays up from the last time on. Reads their logs; times
    are in seconds since the epoch.
    """
    lasting = []
    for log in logs.rglob("*_speaker.log"):
        lines = (json.loads(line) for line in log.read_text().splitlines() if STARTED in line)
        times = [dt.datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines]
        if times and times[-1] > since:
            lasting.append(times[-1])
    return min(lasting, default=None)


class Speaker:
    """A speaker as it runs: its settings, keys and cache, for others that differ a little."""

    def __init__(self, lab: inside.Lab, process: int, argv: Sequence[str]) -> None:
        self.process = process
        self.lab = lab
        self._argv = argv[argv.index("speaker") + 1 :]
        environment = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
        self._environment = dict(entry.split("=", 1) for entry in environment if "=" in entry)
        root = Path(f"/proc/{process}/root")
        self._keys = {
            path.name: path.read_bytes()
            for path in self._within(root, *KEYS_DIR).iterdir()
            if path.is_file() and not path.name.startswith(".")
        }
        cache = self._within(root, *CACHE_FILE)
        self.cache: Json = json.loads(cache.read_bytes()) if cache.exists() else {}

    def setting(self, flag: str, default: str) -> str:
        """Return what one of its settings is."""
        if flag in self._argv:
            return self._argv[self._argv.index(flag) + 1]
        for word in self._argv:
            if word.startswith(f"{flag}="):
                return word.partition("=")[2]
        return self._environment.get("L2LB_" + flag[2:].replace("-", "_").upper(), default)

    def fill_disk(self) -> None:
        """Leave no room where it keeps its cache, until it is restarted."""
        folder = str(Path(self.setting(*CACHE_FILE)).parent)
        enter = ["nsenter", "--target", str(self.process), "--mount", "--root", "--"]
        self.lab.run(None, *enter, "mount", "-t", "tmpfs", "-o", "size=4k", "full", folder)
        self.lab.run(None, *enter, "sh", "-c", f"head -c 4096 /dev/zero > {folder}/filler")

    @contextlib.contextmanager
    def copy(
        self,
        machine: str,
        *,
        keys: Mapping[str, bytes] | None = None,
        cache: Json | None = None,
        server: str | None = None,
        prelude: str = "",
        **settings: str,
    ) -> Iterator[None]:
        """Run a speaker like this one on a machine, as the administrator, with some differences.

        ``server`` is the API server's URL, ``prelude`` Python that runs in it first, ``settings``
        are flags with `_` for `-`.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "keys").mkdir()
            for name, content in (self._keys if keys is None else keys).items():
                (folder / "keys" / name).write_bytes(content)
            if cache is not None:
                (folder / "speaker.json").write_text(json.dumps(cache), encoding="utf-8")
            kubeconfig = self.lab.kubeconfig.read_text(encoding="utf-8")
            config = json.loads(kubeconfig)
            if server is not None:
                config["clusters"][0]["cluster"]["server"] = server
            (folder / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")
            chosen = {
                "keys_dir": str(folder / "keys"),
                "cache_file": str(folder / "speaker.json"),
                "listen": "127.0.0.1:7472",
                **settings,
            }
            flags = [w for key, v in chosen.items() for w in (f"--{key.replace('_', '-')}", v)]
            program = f"{prelude}\nimport runpy; runpy.run_module('speaker', run_name='__main__')"
            argv = [sys.executable, "-c", program, *self._argv, *flags]
            environment = {
                **os.environ,
                **{k: v for k, v in self._environment.items() if k.startswith("L2LB_")},
                "KUBECONFIG": str(folder / "kubeconfig"),
            }
            log = (self.lab.directory / "logs" / f"copy-{machine}.log").open("ab")
            with (
                log,
                subprocess.Popen(
                    network.inside(machine, argv),
                    env=environment,
                    cwd=CHECKOUT,
                    stdout=log,
                    stderr=log,
                ) as process,
            ):
                try:
                    yield
                finally:
                    process.kill()

    def _within(self, root: Path, flag: str, default: str) -> Path:
        return root / self.setting(flag, default).lstrip("/")
