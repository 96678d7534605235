# SPDX-License-Identifier: MIT
"""The Kubernetes programs: built once from lab/kube, or ready ones that the environment names.

All of them are one binary, kept outside the checkout under the hash of what it
is built from; beside it lies a symbolic link for each program's name.
"""

import fcntl
import hashlib
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import errors, progress

SOURCE = Path(__file__).resolve().parent / "kube"

NAMES = (
    "etcd",
    "helm",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
)

KEPT_BUILDS = 2  # one for this checkout and one for the branch that one came from
ASKED_EVERY_S = 1.0
TAIL_LINES = 20


def ready_folder() -> Path | None:
    """Return a folder with all programs in it, or None when they must be built."""
    named = os.environ.get("KUBEBUILDER_ASSETS")
    if named:
        missing = [name for name in NAMES if not os.access(Path(named, name), os.X_OK)]
        if missing:
            raise errors.LabError(
                f"KUBEBUILDER_ASSETS={named} lacks {', '.join(missing)}: put them there, "
                "or unset it and the lab builds its own"
            )
        return Path(named).resolve()
    folder = cache() / fingerprint()
    return folder if folder.is_dir() else None


def cache() -> Path:
    """Return the folder that holds the builds."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2lb-lab"


def fingerprint() -> str:
    """Name a build by all that goes into it."""
    digest = hashlib.blake2s("\0".join(_build_flags()).encode(), digest_size=8)
    for path in sorted(SOURCE.glob("*")):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"kube-{digest.hexdigest()}"


def build(told: progress.Progress) -> Path:
    """Build the programs unless somebody has done it meanwhile; return their folder.

    Takes several minutes the first time. Two builds at once wait for each other.
    """
    folder = cache() / fingerprint()
    cache().mkdir(parents=True, exist_ok=True)
    with _lock(cache() / "lock", told):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache(), prefix="building-") as place:
                made = Path(place, "made")
                made.mkdir()
                _compile(made / "kube", told)
                for name in NAMES:
                    (made / name).symlink_to("kube")
                made.rename(folder)
            _forget_old_builds()
    return folder


def _compile(binary: Path, told: progress.Progress) -> None:
    told.say("building Kubernetes: once, some 10 minutes on two cores, 3 GB of downloads and cache")
    modules = 0
    packages: set[str] = set()
    for line in _go("list", "-deps", "."):
        if line.startswith("go: downloading "):
            modules += 1
        elif line:
            packages.add(line)
        told.update(f"downloading the source of Kubernetes: {modules} modules")
    done = 0
    for line in _go("build", "-v", *_build_flags(), "-o", str(binary), "."):
        done += line in packages
        told.update(f"building Kubernetes: compiled {done} packages of at most {len(packages)}")
    told.say("Kubernetes is built")


def _go(*words: str) -> Iterator[str]:
    """Run Go and yield its lines as they come, and "" when it is silent for a while.

    Raises LabError with its last lines when it fails.
    """
    argv = ["nice", "go", *words]
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    tail: list[str] = []
    with subprocess.Popen(
        argv,
        cwd=SOURCE,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
        try:
            while (line := _next(lines)) is not None:
                tail = [*tail, *filter(None, [line])][-TAIL_LINES:]
                yield line
            status = process.wait()
        finally:
            process.terminate()
    if status:
        said = "\n".join(f"  {line}" for line in tail)
        raise errors.LabError(f"'go {words[0]}' in {SOURCE} failed and said:\n{said}")


def _read(stream: Iterable[str] | None, lines: "queue.SimpleQueue[str | None]") -> None:
    """Hand on each line, and None at the end."""
    for line in stream or ():
        lines.put(line.rstrip("\n"))
    lines.put(None)


def _next(lines: "queue.SimpleQueue[str | None]") -> str | None:
    try:
        return lines.get(timeout=ASKED_EVERY_S)
    except queue.Empty:
        return ""


def _build_flags() -> list[str]:
    """Return the flags of the build; the programs refuse to talk unless their version is set."""
    text = (SOURCE / "go.mod").read_text()
    kubernetes = _version(text, "k8s.io/kubernetes")
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    values = {
        "gitVersion": kubernetes,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    variables = {
        f"{package}/version.{name}": value
        for package in ("k8s.io/component-base", "k8s.io/client-go/pkg")
        for name, value in values.items()
    }
    variables["helm.sh/helm/v4/internal/version.version"] = _version(text, "helm.sh/helm/v4")
    settings = " ".join(f"-X {name}={value}" for name, value in variables.items())
    return ["-buildvcs=false", "-trimpath", "-ldflags", f"-s -w {settings}"]


def _version(go_mod: str, module: str) -> str:
    match = re.search(rf"^\t{re.escape(module)} (v\S+)$", go_mod, re.MULTILINE)
    if match is None:
        raise errors.LabError(f"{SOURCE / 'go.mod'} does not require {module}")
    return match[1]


@contextmanager
def _lock(path: Path, told: progress.Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told.say("another build of Kubernetes is under way: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget_old_builds() -> None:
    builds = sorted(cache().glob("kube-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in builds[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
