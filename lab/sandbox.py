# SPDX-License-Identifier: MIT
"""The namespaces that a lab lives in, and the process outside that watches over them.

From the outside in: the *outer* process, which the user started; ``unshare``;
the *init* of the new process namespace, which buries orphans; the supervisor.
When init ends, by whatever cause, the kernel ends every process in the
namespace and removes the network with them: so nothing can be left behind. Init
ends with the supervisor, is killed with unshare, and the supervisor ends when
the outer process does, because the pipe between them closes.
"""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, Self

from lab import errors

UNSHARE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)

DIRECTORY = Path("/run/lab")  # LAB_DIR: on the lab's own tmpfs, so it ends with the lab
LOGS = DIRECTORY / "logs"
NODES = DIRECTORY / "nodes"
CHECKOUT = Path(__file__).resolve().parent.parent

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SI_KERNEL = 0x80  # siginfo(2): the terminal sent it, to the whole process group


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the outer process tells the supervisor."""

    command: tuple[str, ...]
    programs: str  # folder of the Kubernetes binaries
    nodes: int
    product: bool
    values: str | None  # file of chart values
    changes: tuple[str, ...]  # single chart values, KEY=VALUE
    metacontroller: str | None  # the real one's binary; None: the stand-in
    metacontroller_name: str  # for people: which one it is
    logs: str | None  # folder that outlives the lab
    emulated_version: str | None

    @property
    def words(self) -> str:
        """How `python -m lab` is started for a lab like this one, without paths of this machine."""
        words = ["python", "-m", "lab", "run", "--nodes", str(self.nodes)]
        for change in self.changes:
            words += ["--set", change]
        if self.values is not None:
            words += ["--values", Path(self.values).name]
        if not self.product:
            words.append("--no-product")
        if self.emulated_version is not None:
            words += ["--emulated-version", self.emulated_version]
        real = "METACONTROLLER=/path/to/metacontroller " if self.metacontroller else ""
        return real + shlex.join(words)

    def to_json(self) -> str:
        """Encode as one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Decode what :meth:`to_json` wrote."""
        fields = json.loads(text)
        lists = {name: tuple(fields[name]) for name in ("command", "changes")}
        return cls(**{**fields, **lists})


def environment(settings: Settings) -> dict[str, str]:
    """Return what programs find in their environment that act as the lab's administrator."""
    real = {"METACONTROLLER": settings.metacontroller} if settings.metacontroller else {}
    cache = DIRECTORY / "cache"
    return {
        **os.environ,
        **real,
        "KUBECONFIG": str(DIRECTORY / "kubeconfig"),
        "LAB_DIR": str(DIRECTORY),
        "LAB_METACONTROLLER": settings.metacontroller_name,
        "LAB_STARTED_BY": settings.words,
        "PATH": os.pathsep.join([settings.programs, os.environ.get("PATH", os.defpath)]),
        # Whatever a command caches must end with the lab.
        "TMPDIR": str(DIRECTORY / "tmp"),
        "KUBECACHEDIR": str(cache / "kubectl"),
        "HELM_CACHE_HOME": str(cache / "helm"),
        "HELM_CONFIG_HOME": str(cache / "helm"),
        "HELM_DATA_HOME": str(cache / "helm"),
    }


def run(settings: Settings) -> int:
    """Run a lab from the outside; return its exit status.

    The settings go through the pipe and not on the command line, where a
    'pkill -f' in the command would find its own words again. Signals go the
    same way, because process ids are others inside.
    """
    if "LAB_DIR" in os.environ:
        raise errors.LabError(
            "this is the inside of a lab already (LAB_DIR is set): leave it before starting another"
        )
    watched = {*FORWARDED, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    inner = [sys.executable, "-m", "lab.supervisor", str(reading)]
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    sandbox = subprocess.Popen([*UNSHARE, *inner], pass_fds=[reading], env=environment)
    os.close(reading)
    _tell(writing, settings.to_json())
    while sandbox.poll() is None:
        received = signal.sigwaitinfo(watched)
        if received.si_signo in FORWARDED:
            by_terminal = received.si_code == SI_KERNEL
            _tell(writing, f"{received.si_signo} {int(by_terminal)}")
    return shell_status(sandbox.returncode)


def _tell(pipe: int, line: str) -> None:
    try:
        os.write(pipe, f"{line}\n".encode())
    except BrokenPipeError:
        return  # it is ending already


def _python_path() -> str:
    """Let Python programs of the checkout be found from any working directory."""
    others = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(CHECKOUT), *([others] if others else [])])


def shell_status(status: int) -> int:
    """Return an exit status as a shell would give it: 128 + N for signal N."""
    return 128 - status if status < 0 else status


def become_init() -> None:
    """Split off the supervisor and stay behind as the first process; return in the supervisor.

    The first process of a namespace inherits every orphan and must reap it.
    """
    supervisor = os.fork()
    if supervisor:
        for number in FORWARDED:
            signal.signal(number, signal.SIG_IGN)
        _reap_until_end_of(supervisor)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _reap_until_end_of(child: int) -> NoReturn:
    while True:
        process, status = os.wait()
        if process == child:
            # No handler and no flush: all that is left to do is to end.
            os._exit(shell_status(os.waitstatus_to_exitcode(status)))


def mount() -> None:
    """Give the lab a /run of its own, and in it :data:`DIRECTORY`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run"], check=True)
    for folder in (LOGS, DIRECTORY / "tmp", DIRECTORY / "cache"):
        folder.mkdir(parents=True)


def keep_logs(folder: Path) -> None:
    """Let the logs be written to a folder that outlives the lab."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(folder), str(LOGS)], check=True)
