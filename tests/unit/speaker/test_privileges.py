# SPDX-License-Identifier: MIT
import pathlib
import socket

import pytest

from speaker import errors, privileges

pytestmark = pytest.mark.namespace


def capabilities() -> dict[str, int]:
    lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}


def test_only_net_raw_is_kept_and_packet_sockets_still_open() -> None:
    privileges.keep_only_net_raw()
    assert capabilities() == {"CapInh": 0, "CapPrm": 1 << 13, "CapEff": 1 << 13, "CapAmb": 0}
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    with pytest.raises(PermissionError):
        socket.sethostname("other")


def test_without_net_raw_the_remedy_is_named() -> None:
    privileges.keep_only_net_raw()
    privileges._NET_RAW = 1 << 12  # type: ignore[misc]
    with pytest.raises(errors.SpeakerError, match="NET_RAW"):
        privileges.keep_only_net_raw()
