# SPDX-License-Identifier: MIT
"""kube-proxy in IPVS mode without strictARP, where every node's kernel answers for every address.

IPVS binds all Service addresses to the dummy interface kube-ipvs0, and Linux answers ARP for any
local address on any interface unless arp_ignore says otherwise.
Source: Linux Documentation/networking/ip-sysctl.rst.
"""

import pathlib
from typing import Final

from speaker.links import table

INTERFACE: Final = "kube-ipvs0"
ARP_IGNORE: Final = pathlib.Path("/proc/sys/net/ipv4/conf/all/arp_ignore")


def complaint(links: table.Table, arp_ignore: pathlib.Path = ARP_IGNORE) -> str | None:
    """Return what is wrong with this node's kernel settings, if it is."""
    if links.named(INTERFACE) is None:
        return None
    try:
        value = int(arp_ignore.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    if value > 0:
        return None
    return (
        f"kube-proxy runs in IPVS mode and {arp_ignore} is 0: this node answers ARP for every "
        "Service address, whoever holds it; set ipvs.strictARP to true for kube-proxy"
    )
