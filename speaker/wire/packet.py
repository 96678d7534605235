# SPDX-License-Identifier: MIT
"""AF_PACKET sockets bound to one interface and one protocol, with a kernel filter.

Source: packet(7), Linux include/uapi/linux/if_packet.h.
"""

import ctypes
import errno
import socket
import struct
from typing import Final

from speaker.wire import bpf

ETH_P_ARP: Final = 0x0806
ETH_P_IPV6: Final = 0x86DD

_SO_ATTACH_FILTER: Final = 26
_SOL_PACKET: Final = 263
_PACKET_ADD_MEMBERSHIP: Final = 1
_PACKET_STATISTICS: Final = 6
_PACKET_MR_MULTICAST: Final = 0
_RECEIVE_BUFFER_B: Final = 1 << 20  # about 1,200 frames as the kernel accounts them

# What a socket reports when its interface is down or gone; rtnetlink tells the rest.
_GONE: Final = frozenset({errno.ENETDOWN, errno.ENODEV, errno.ENXIO})
# Too much for the kernel's queue, or for the interface: its MTU was made smaller under way.
_FULL: Final = frozenset({errno.ENOBUFS, errno.EAGAIN, errno.EMSGSIZE})


class PacketSocket:
    """A non-blocking packet socket; frames begin with the Ethernet header.

    Opening raises OSError: PermissionError without CAP_NET_RAW, ENODEV without the interface.
    """

    def __init__(self, interface: str, protocol: int, program: bpf.Program | None = None) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
        )
        try:
            # Bound to no protocol until the filter stands, so that nothing slips through.
            if program is not None:
                self.attach(program)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_B)
            self._socket.bind((interface, protocol))
        except OSError:
            self._socket.close()
            raise
        self._index = socket.if_nametoindex(interface)
        self.receive = self._socket.recv
        self.unsent = 0
        self._dropped = 0

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the kernel forgets its filter and memberships."""
        self._socket.close()

    def attach(self, program: bpf.Program) -> None:
        """Replace the filter at one stroke."""
        attach_filter(self._socket, program)

    def join(self, mac: bytes) -> None:
        """Have the interface receive this multicast MAC."""
        request = struct.pack("iHH8s", self._index, _PACKET_MR_MULTICAST, len(mac), mac)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)

    def send(self, frame: bytes) -> bool:
        """Hand a frame to the kernel; False (and counted) when it takes none now."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in _GONE | _FULL:
                raise
            self.unsent += 1
            return False
        return True

    def next(self, length: int) -> bytes | None:
        """Return the next frame, cut at `length`, or None when the queue is empty."""
        try:
            return self.receive(length)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return None

    def dropped(self) -> int:
        """Return how many frames the kernel dropped so far because the queue was full."""
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self._dropped += struct.unpack("II", statistics)[1]  # reading resets it
        return self._dropped


def attach_filter(sock: socket.socket, program: bpf.Program) -> None:
    """Attach a classic BPF program to a socket (SO_ATTACH_FILTER)."""
    code = ctypes.create_string_buffer(bpf.encode(program))
    fprog = struct.pack("HL", len(program), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
