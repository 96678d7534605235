# SPDX-License-Identifier: MIT
"""Giving up every capability but NET_RAW, which packet sockets need at any time.

Source: capabilities(7), capset(2), Linux include/uapi/linux/capability.h.
"""

import ctypes
import os
import struct
from typing import Final

from speaker import errors

_VERSION_3: Final = 0x20080522
_NET_RAW: Final = 1 << 13
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_HEADER: Final = struct.Struct("=Ii")
_SETS: Final = struct.Struct("=III")  # effective, permitted, inheritable; low word, then high


def keep_only_net_raw() -> None:
    """Drop all other capabilities of this thread and its children.

    Call it before another thread is started: capabilities are a thread's. Raises SpeakerError
    when NET_RAW is not there to be kept, OSError when the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    sets = ctypes.create_string_buffer(2 * _SETS.size)
    _checked(libc.capget(header, sets))
    permitted = _SETS.unpack_from(sets.raw)[1] & _NET_RAW
    if not permitted:
        raise errors.SpeakerError("the capability NET_RAW is missing: add it to the container's")
    kept = _SETS.pack(permitted, permitted, 0) + _SETS.pack(0, 0, 0)
    _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    _checked(libc.capset(header, ctypes.create_string_buffer(kept, len(kept))))
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
