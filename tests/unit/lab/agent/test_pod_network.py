# SPDX-License-Identifier: MIT
"""Pods' networks are really built here, in namespaces of their own, as a lab builds them."""

import os
import subprocess
import sys

from lab import sandbox

# A node, two Pods on it, and connections: from the node to each, and from one to the other.
INNER = """
import asyncio, socket, sys
from lab.agent import network

async def answer(reader, writer):
    writer.write(writer.get_extra_info("peername")[0].encode())
    writer.close()

async def ask(door, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = await door.socket(family)
    await asyncio.get_running_loop().sock_connect(made, (address, 80))
    reader, writer = await asyncio.open_connection(sock=made)
    print((await reader.read()).decode())
    writer.close()

async def listen(netns, address):
    door = network.Doorway(netns)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = await door.socket(family)
    listener.bind((address, 80))
    door.close()
    return await asyncio.start_server(answer, sock=listener)

async def main():
    pods = network.PodNetwork("node-1", "node-1", ("10.88.1.0/24", "fd88:1::/64"))
    first, second = await asyncio.gather(pods.create(), pods.create())
    for place in (first, second):
        for address in place.addresses:
            await listen(place.netns, str(address))
    node, pod = network.Doorway("node-1"), network.Doorway(first.netns)
    for address in second.addresses:
        await ask(node, str(address))
        await ask(pod, str(address))
    node.close()
    pod.close()
    await pods.destroy(first)
    print(sorted(path.name for path in network.NAMESPACES.iterdir()))
    await network.PodNetwork("node-1", "node-1", ("10.88.1.0/24", "fd88:1::/64")).clear()
    print(sorted(path.name for path in network.NAMESPACES.iterdir()))

asyncio.run(main())
"""

OUTER = """
set -e
mount -t tmpfs lab /run
ip netns add node-1
ip netns add node-1-other
ip -n node-1 link set lo up
ip netns exec node-1 sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec node-1 sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
exec "$1" -c "$2"
"""


def test_pods_and_their_node_reach_each_other_in_both_families_and_all_is_removed() -> None:
    done = subprocess.run(
        [*sandbox.UNSHARE, "sh", "-c", OUTER, "sh", sys.executable, INNER],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(sandbox.CHECKOUT), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "10.88.1.1",
        "10.88.1.2",
        "fd88:1::1",
        "fd88:1::2",
        "['node-1', 'node-1-other', 'node-1-pod-3']",
        "['node-1', 'node-1-other']",
    ]
