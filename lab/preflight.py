# SPDX-License-Identifier: MIT
"""What the machine must have, asked before anything is started."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab import errors, sandbox

GO_MINIMUM = (1, 26)

# Each program with the package of Debian and Ubuntu that has it.
PROGRAMS = {
    "ip": "iproute2",
    "mount": "mount",
    "nft": "nftables",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}

# What the kernel must be able to do within a namespace, each with how to try it.
KERNEL = {
    "a tmpfs in a namespace (CONFIG_TMPFS)": "mount -t tmpfs lab /run",
    "IPv6 (CONFIG_IPV6, and no ipv6.disable=1)": "test -e /proc/sys/net/ipv6",
    "bridges (module bridge)": "ip link add trial0 type bridge",
    "virtual cables (module veth)": "ip link add trial1 type veth peer name trial2",
    "nftables (module nf_tables)": "nft add table inet lab",
}

CONTAINED = "import contract.names, yaml"  # from the checkout, and from beside the interpreter
REFUSED = "refused"

# Debian leaves the administrator's programs out of an ordinary user's PATH.
ADMINISTRATORS_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")

STAND_IN = "the stand-in (python -m lab.metacontroller)"
VERSION_ASKED_S = 5.0

APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
NAMESPACE_LIMIT = Path("/proc/sys/user/max_user_namespaces")
DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")


def extend_path() -> None:
    """Add the administrator's folders to this process's PATH."""
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    missing = [folder for folder in ADMINISTRATORS_PATH if folder not in parts]
    os.environ["PATH"] = os.pathsep.join([*parts, *missing])


def check(*, build: bool) -> None:
    """Raise :class:`errors.LabError` that names everything the machine lacks.

    ``build`` says that Go is needed, because no ready binary was found.
    """
    lacks = list(_lacks(build=build))
    if lacks:
        listed = "".join(f"\n  - {lack}" for lack in lacks)
        raise errors.LabError(f"the lab cannot run on this machine yet:{listed}")


def metacontroller(binary: str | None) -> str:
    """Return which Metacontroller runs, for people; None is the stand-in.

    The real one has no flag for its version: it logs it before it finds out
    that there is no cluster. Raises LabError when ``binary`` is none.
    """
    if binary is None:
        return STAND_IN
    argv = [binary, "-kubeconfig", "/nonexistent"]
    try:
        answer = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=VERSION_ASKED_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.LabError(f"{binary} is no Metacontroller that runs here: {error}") from None
    first = answer.stderr.partition("\n")[0]
    try:
        version = json.loads(first)["version"]
    except (ValueError, KeyError):
        raise errors.LabError(
            f"{binary} is no Metacontroller of version 4: asked, it said {first!r}"
        ) from None
    known = version if version.startswith("v") else "of unknown version"
    return f"the real one, {known} ({binary})"


def _lacks(*, build: bool) -> Iterator[str]:
    if sys.platform != "linux":
        yield f"Linux is needed, and this is {sys.platform}: run it in a virtual machine"
        return
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            yield f"the program {program!r} is missing: apt-get install {package}"
    if build:
        yield from _go_lacks()
    if all(map(shutil.which, PROGRAMS)):
        yield from _namespace_lacks()
        yield from _container_lacks()


def _go_lacks() -> Iterator[str]:
    wanted = ".".join(map(str, GO_MINIMUM))
    advice = (
        f"install Go {wanted} or newer (Debian: golang-{wanted}-go, if your release has it, "
        "else from the Go project), or let KUBEBUILDER_ASSETS name a folder with ready binaries"
    )
    if shutil.which("go") is None:
        yield f"Go is missing, which Kubernetes is built with: {advice}"
        return
    answer = subprocess.run(
        ["go", "env", "GOVERSION", "GOTOOLCHAIN"], capture_output=True, text=True, check=False
    )
    version, _, toolchain = answer.stdout.strip().partition("\n")
    found = go_version(version)
    # From 1.21 on Go fetches a newer toolchain by itself, unless that is forbidden.
    if found < (GO_MINIMUM if toolchain == "local" else (1, 21)):
        yield f"Go is {version or 'of unknown version'}, too old to build Kubernetes: {advice}"


def go_version(text: str) -> tuple[int, int]:
    """Read what ``go env GOVERSION`` prints, such as ``go1.26.8``; (0, 0) when unknown."""
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _namespace_lacks() -> Iterator[str]:
    trials = (f"{trial} 2>/dev/null || echo '{ability}'" for ability, trial in KERNEL.items())
    answer = subprocess.run(
        [*sandbox.UNSHARE, "sh", "-c", "; ".join(trials)],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        said = answer.stderr.strip() or f"status {answer.returncode}"
        yield f"user namespaces are refused ({said}): {namespace_advice()}"
    for ability in answer.stdout.splitlines():
        yield f"the kernel refuses {ability}: load or enable it as root"


def _container_lacks() -> Iterator[str]:
    """Try whether a program of ours starts with the rights of a lab's container, which are none."""
    trial = [
        *("setpriv", "--bounding-set=-all", "--inh-caps=-all"),
        *(sys.executable, "-c", CONTAINED),
    ]
    answer = subprocess.run(
        [*sandbox.UNSHARE, "sh", "-c", f"{shlex.join(trial)} || echo {REFUSED}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=sandbox.CHECKOUT,
    )
    if REFUSED in answer.stdout:
        last = answer.stderr.strip().rpartition("\n")[2]
        yield (
            f"a program without an administrator's rights cannot run {sys.executable} in "
            f"{sandbox.CHECKOUT} ({last}): let user {os.getuid()} itself read both, and all "
            "that the virtual environment leads to"
        )


def namespace_advice() -> str:
    """Say what would allow user namespaces here, from what the kernel says of itself."""
    if _read(APPARMOR_SWITCH) == "1":
        return (
            "AppArmor forbids them to ordinary users here (Ubuntu 24.04 does): run the lab under "
            "sudo, or allow them with 'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0'"
        )
    if _read(DEBIAN_SWITCH) == "0":
        return "allow them with 'sudo sysctl kernel.unprivileged_userns_clone=1'"
    if _read(NAMESPACE_LIMIT) == "0":
        return "allow them with 'sudo sysctl user.max_user_namespaces=10000'"
    return (
        "inside a container, start it with permission to make namespaces (such as "
        "--privileged); elsewhere the kernel needs CONFIG_USER_NS and CONFIG_NET_NS"
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
