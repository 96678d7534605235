# SPDX-License-Identifier: MIT
"""What a container may do, as far as a lab can hold it to that.

All programs of a lab are of one user, so another ``runAsUser`` can not be had:
its capabilities are dropped, as the kernel does for a user other than root,
but files stay readable that would not be.
"""

from lab.agent import container, spec

# <linux/capability.h>, in order
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(_CAPABILITIES.split())

# What containerd and CRI-O give a container that says nothing.
_DEFAULT = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
    "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
)
DEFAULT = frozenset(_DEFAULT.split())


def capabilities(name: str, wanted: spec.Security, image: spec.Image) -> list[int]:
    """Return the numbers of the capabilities that a container has once it runs.

    Raises :class:`~lab.agent.container.CannotStartError` for a context that
    contradicts itself, with what a kubelet or container runtime would object to.
    """
    user = image.user if wanted.user is None else wanted.user
    if wanted.non_root and user == 0:
        raise container.CannotStartError(
            "CreateContainerConfigError",
            f"the container {name!r} has runAsNonRoot and would run as root: set runAsUser",
        )
    unknown = sorted((wanted.add | wanted.drop) - {*CAPABILITIES, "ALL"})
    if unknown:
        raise container.CannotStartError(
            "CreateContainerError",
            f"the container {name!r} names the capabilities {unknown}, which Linux does not have",
        )
    if user != 0 and not wanted.privileged:
        return []
    every = frozenset(CAPABILITIES)
    if wanted.privileged:
        return sorted(map(CAPABILITIES.index, every))
    kept = frozenset() if "ALL" in wanted.drop else DEFAULT - wanted.drop
    added = every if "ALL" in wanted.add else wanted.add
    return sorted(map(CAPABILITIES.index, kept | added))
