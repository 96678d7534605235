# SPDX-License-Identifier: MIT
"""Namespaces, bridges, addresses and routes, made with the ip program."""

import asyncio
import shlex
from collections.abc import Iterable, Sequence

from lab import errors, machines

# Duplicate address detection would delay every IPv6 address by a second or more.
HOST_SYSCTLS = {
    "net/ipv6/conf/all/accept_dad": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/dad_transmits": 0,
}
NODE_SYSCTLS = {
    **HOST_SYSCTLS,
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
}


async def make_switches() -> None:
    """Make the bridges, with the control plane's own addresses on them."""
    await _shell(_sysctls(HOST_SYSCTLS))
    lines = ["link set lo up"]
    for switch in machines.SWITCHES:
        v4, v6 = switch.addresses(machines.CONTROL_PLANE)
        lines += [
            f"link add {switch.name} address {switch.mac(machines.CONTROL_PLANE)} type bridge",
            f"link set {switch.name} up",
            f"address add {v4} dev {switch.name}",
            f"address add {v6} dev {switch.name} nodad",
        ]
    await _ip(lines)


async def plug_in(machine: machines.Machine, others: Iterable[machines.Machine]) -> None:
    """Make a machine's namespace, cable it up, and route the Pods between it and the others.

    Only nodes route: ``others`` may hold any machine.
    """
    name = machine.name
    lines = [f"netns add {name}"]
    for switch in machines.SWITCHES:
        port = switch.port_prefix + name
        mac = switch.mac(machine.number)
        lines += [
            f"link add {port} type veth peer name {switch.uplink} address {mac} netns {name}",
            f"link set {port} master {switch.name} up",
        ]
    await _ip(lines)
    # After the namespace and before its addresses: an address added earlier would be tentative.
    await _shell(_sysctls(NODE_SYSCTLS if machine.pod_subnets else HOST_SYSCTLS), netns=name)
    await _ip(_uplinks(machine), netns=name)
    if machine.pod_subnets:
        nodes = [other for other in others if other.pod_subnets and other != machine]
        await asyncio.gather(
            _ip([line for node in nodes for line in _routes(node)], netns=name),
            _ip(_routes(machine)),
            *(_ip(_routes(machine), netns=node.name) for node in nodes),
        )


async def pull_cables(machine: machines.Machine) -> None:
    """Remove a machine's uplinks: from here on nobody hears of it."""
    await _ip([f"link delete {switch.port_prefix}{machine.name}" for switch in machines.SWITCHES])


async def remove(machine: machines.Machine) -> None:
    """Remove a machine's namespace; the caller has ended every process in it."""
    await _ip([f"netns delete {machine.name}"])


async def process_ids(machine: machines.Machine) -> list[int]:
    """Return the ids of all processes within a machine's namespace."""
    output = await _run(["ip", "netns", "pids", machine.name])
    return [int(line) for line in output.split()]


def inside(netns: str | None, argv: Sequence[str]) -> list[str]:
    """Return the command line that runs ``argv`` in a machine; None is the lab's own namespace."""
    return [*argv] if netns is None else ["ip", "netns", "exec", netns, *argv]


def _uplinks(machine: machines.Machine) -> list[str]:
    lines = ["link set lo up"]
    for switch in machines.SWITCHES:
        v4, v6 = switch.addresses(machine.number)
        lines += [
            f"link set {switch.uplink} up",
            f"address add {v4} dev {switch.uplink}",
            f"address add {v6} dev {switch.uplink} nodad",
        ]
    v4, v6 = machines.ADDRESSES
    return [*lines, f"route add default via {v4.ip}", f"route add default via {v6.ip}"]


def _routes(node: machines.Machine) -> list[str]:
    """Return how others reach a node's Pods; replacing what an earlier life of it left."""
    (v4, v6), (pods4, pods6) = node.addresses, node.pod_subnets
    return [f"route replace {pods4} via {v4}", f"route replace {pods6} via {v6}"]


def _sysctls(values: dict[str, int]) -> str:
    return "\n".join(f"echo {value} > /proc/sys/{key}" for key, value in values.items())


async def _ip(lines: Sequence[str], *, netns: str | None = None) -> None:
    where = [] if netns is None else ["-n", netns]
    batch = "".join(f"{line}\n" for line in lines)
    await _run(["ip", *where, "-batch", "-"], batch)


async def _shell(script: str, *, netns: str | None = None) -> None:
    await _run(inside(netns, ["sh", "-e"]), script)


async def _run(argv: Sequence[str], standard_input: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate(standard_input.encode())
    if process.returncode:
        raise errors.LabError(
            f"'{shlex.join(argv)}' failed with status {process.returncode}: "
            f"{complaint.decode().strip()}\nit was told:\n{standard_input}"
        )
    return output.decode()
