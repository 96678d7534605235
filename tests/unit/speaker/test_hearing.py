# SPDX-License-Identifier: MIT
import pathlib

import pytest

from speaker.wire import hearing

DEVICES = """Inter-|   Receive                       |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo: 5350838    6203    0    0    0     0          0         0  5350838    6203
  eth0:  123456     789    0    0    0     0          0         0    65432     321
"""


def test_what_an_interface_received_is_the_kernels_count_of_packets(tmp_path: pathlib.Path) -> None:
    devices = tmp_path / "dev"
    devices.write_text(DEVICES, encoding="ascii")
    assert hearing.received("eth0", devices) == 789
    assert hearing.received("eth1", devices) is None
    assert hearing.received("eth0", tmp_path / "none") is None


@pytest.mark.parametrize("strange", ["é0".encode(), b"\xff0", "eth0\u2028x".encode(), b"x\x1ceth0"])
def test_a_name_of_any_bytes_elsewhere_on_the_node_hides_no_count(
    tmp_path: pathlib.Path, strange: bytes
) -> None:
    devices = tmp_path / "dev"
    head, loopback, rest = DEVICES.encode().partition(b"    lo:")
    devices.write_bytes(head + strange + b":   1   2    0    0\n" + loopback + rest)
    assert hearing.received("eth0", devices) == 789
    assert hearing.received(strange.decode(errors="replace"), devices) == 2


def test_a_deaf_node_is_silent_until_it_receives_something() -> None:
    count = 7
    mute = hearing.Mute(lambda: count)
    assert not any(mute.ends(float(now), alone=True) for now in range(100))
    count = 8
    assert mute.ends(100.0, alone=True)


def test_who_hears_others_again_listens_first_to_what_they_claim() -> None:
    count = 7
    mute = hearing.Mute(lambda: count)
    count = 8
    assert not mute.ends(10.0, alone=False)
    assert not mute.ends(10.9, alone=False)
    assert mute.ends(11.0, alone=False)


def test_where_nobody_can_tell_nobody_is_silent() -> None:
    assert hearing.Mute(lambda: None).ends(10.0, alone=True)
