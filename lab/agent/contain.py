# SPDX-License-Identifier: MIT
"""The program that becomes a container of ours.

``python -I -S contain.py READY_FD PLAN_FD`` reads a plan as JSON, takes its
place in the namespaces that the plan names, gives up what the container may not
do, and executes the container's program. What goes wrong before that is written
to READY_FD as one sentence; success closes it.

The container sees the machine's files read-only, with a ``/run``, ``/tmp`` and
``/dev`` of its own, and its volumes at their mount paths. A folder in which
something must be mounted is made anew, with links to the rest of its content,
so that no rights on the machine are needed. It is a place with a container's
shape and not a prison: the processes of the lab are seen in ``/proc``.
"""

import ctypes
import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

Plan = Mapping[str, Any]

# <sched.h>, <sys/mount.h>, <linux/prctl.h>, <linux/mount.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 0x1
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
SYS_MOUNT_SETATTR = 442
MOUNT_ATTR_RDONLY = 0x1
AT_FDCWD = -100
AT_RECURSIVE = 0x8000

OWN = tuple(map(Path, ("/proc", "/sys", "/dev", "/run", "/tmp")))  # what a container has of its own
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
REST = ".machine"  # where the links of a folder that was made anew lead

libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Become what the plan says."""
    ready_fd, plan_fd = map(int, arguments)
    os.set_inheritable(ready_fd, False)
    with os.fdopen(plan_fd) as stream:
        plan = json.load(stream)
    try:
        if plan["join"]:
            join(plan["join"])
        else:
            build(plan)
        limit(plan["capabilities"], no_new_privileges=plan["no_new_privileges"])
        os.chdir(plan["directory"])
        execute(plan["argv"], plan["environment"])
    except OSError as error:
        os.write(ready_fd, str(error).encode())
    os._exit(128)


def execute(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace this program; raise :class:`OSError` when there is no such program."""
    path = environment.get("PATH", os.defpath)
    folders = [""] if "/" in argv[0] else path.split(os.pathsep)
    for folder in folders:
        program = Path(folder, argv[0])
        if os.access(program, os.X_OK):
            os.execve(program, list(argv), environment)
    raise FileNotFoundError(f"the program {argv[0]!r} is not found, PATH is {path!r}")


def join(process: int) -> None:
    """Enter the namespaces and the root of a running container."""
    root = os.open(f"/proc/{process}/root", os.O_RDONLY)
    kinds = {"net": CLONE_NEWNET, "uts": CLONE_NEWUTS, "mnt": CLONE_NEWNS}
    opened = {kind: os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in kinds}
    for kind, flag in kinds.items():
        check(libc.setns(opened[kind], flag), f"entering the {kind} namespace of {process}")
    os.fchdir(root)
    os.chroot(".")


def build(plan: Plan) -> None:
    """Make the container's namespaces and its root, and enter them."""
    network = os.open(plan["netns"], os.O_RDONLY)
    check(libc.setns(network, CLONE_NEWNET), f"entering {plan['netns']}")
    os.close(network)
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS), "making namespaces")
    socket.sethostname(plan["hostname"])
    if plan["own_network"]:
        # Container runtimes let every user bind low ports in a Pod's own network.
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    mount("none", Path("/"), flags=MS_REC | MS_SLAVE)
    root = Path(plan["root"])
    mount("tmpfs", root, kind="tmpfs", options="mode=755")
    links = {where(path): target for path, target in plan["links"].items()}
    mounts = {where(volume["path"]): volume for volume in plan["volumes"]}
    hidden = {*OWN, *mounts}
    for path in map(Path, plan["paths"]):
        if not hidden.isdisjoint(path.parents):
            mounts.setdefault(path, {"source": str(path), "read_only": True})
    populate(root, Path("/"), Places.of([*links, *mounts]))
    own_folders(root)
    for path, target in links.items():
        within(root, path).symlink_to(target)
    for path, mounted in mounts.items():
        make_point(Path(mounted["source"]), within(root, path))
    if plan["read_only"]:
        for folder in (root, root / "tmp", root / "run"):
            mount("none", folder, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
    # The outer of two nested mounts first, or it would hide the inner.
    for path, mounted in sorted(mounts.items(), key=lambda item: len(item[0].parts)):
        bind(Path(mounted["source"]), within(root, path), read_only=mounted["read_only"])
    os.chroot(root)
    os.chdir("/")


class Places(NamedTuple):
    """Paths that the machine's content must give way to, and the folders on the way to them."""

    taken: frozenset[Path]
    anew: frozenset[Path]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "Places":
        """Find the folders."""
        taken = frozenset(paths)
        return cls(taken, frozenset(parent for path in taken for parent in path.parents))


def where(path: str) -> Path:
    """Return where a path of the container leads: the machine's links hold, but the last."""
    return Path(path).parent.resolve() / Path(path).name


def within(root: Path, path: Path) -> Path:
    """Return the place of a container's path below the root that is being built."""
    return root / path.relative_to("/")


def populate(root: Path, folder: Path, places: Places) -> None:
    """Make a folder of the machine anew, with all its content that is not taken."""
    if folder != Path("/"):
        bind(folder, within(root / REST, folder), read_only=True)
    for path in sorted(folder.iterdir()):
        target = within(root, path)
        if path in OWN or path in places.taken:
            continue
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path in places.anew:
            target.mkdir()
            populate(root, path, places)
        elif folder != Path("/"):
            target.symlink_to(Path("/", REST) / path.relative_to("/"))
        elif path.is_dir():
            bind(path, target, read_only=True)


def own_folders(root: Path) -> None:
    """Make what a container has of its own."""
    for folder in OWN:
        within(root, folder).mkdir()
    bind(Path("/proc"), root / "proc", read_only=False)
    mount("sysfs", root / "sys", kind="sysfs", flags=MS_RDONLY)
    mount("tmpfs", root / "dev", kind="tmpfs", options="mode=755")
    mount("tmpfs", root / "run", kind="tmpfs", options="mode=755")
    mount("tmpfs", root / "tmp", kind="tmpfs", options="mode=1777")
    for device in DEVICES:
        bind(Path("/dev", device), root / "dev" / device, read_only=False)
    for name, target in DEVICE_LINKS.items():
        (root / "dev" / name).symlink_to(target)
    (root / "dev" / "shm").mkdir(mode=0o1777)


def make_point(source: Path, target: Path) -> None:
    """Let there be something of the source's kind to mount it on."""
    if target.exists():
        return
    if source.is_dir():
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def bind(source: Path, target: Path, *, read_only: bool) -> None:
    """Show a file or folder, with all that is mounted within, at another place too."""
    make_point(source, target)
    mount(str(source), target, flags=MS_BIND | MS_REC)
    if read_only:
        # struct mount_attr: attr_set, attr_clr, propagation, userns_fd
        attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
        status = libc.syscall(
            SYS_MOUNT_SETATTR,
            AT_FDCWD,
            bytes(target),
            AT_RECURSIVE,
            attributes,
            ctypes.sizeof(attributes),
        )
        check(status, f"making {target} read-only")


def mount(source: str, target: Path, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Attach a file system, or change how one is attached, by the system call of that name."""
    status = libc.mount(
        source.encode(),
        bytes(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    check(status, f"mounting {source} at {target}")


def limit(capabilities: Sequence[int], *, no_new_privileges: bool) -> None:
    """Give up all other capabilities; in force once another program is executed."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        if capability not in capabilities:
            status = libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
            check(status, f"dropping capability {capability}")
    if no_new_privileges:
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "setting no_new_privs")


def check(status: int, action: str) -> None:
    """Raise what the C library's last call complained about."""
    if status < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action} failed: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
