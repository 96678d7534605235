# SPDX-License-Identifier: MIT
"""Asking a container how it is, and what the answers amount to."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from lab.agent import clock as clocks
from lab.agent import network, spec

MIN_GOOD_STATUS = 200
MAX_GOOD_STATUS = 399

Execute = Callable[[tuple[str, ...], float], Awaitable[str]]


@dataclass(slots=True)
class Verdict:
    """The state of a probe: changes only after as many equal answers as it asks for."""

    probe: spec.Probe
    good: bool
    _run: int = field(default=0, init=False)
    _last: bool | None = field(default=None, init=False)

    def judge(self, *, good: bool) -> bool:
        """Take one answer; return whether enough of its kind have come in a row."""
        self._run = self._run + 1 if self._last is good else 1
        self._last = good
        needed = self.probe.success_threshold if good else self.probe.failure_threshold
        if self._run < needed:
            return False
        self.good = good
        return True


class Prober:
    """Carries out actions against one Pod, from its node, as a kubelet does."""

    def __init__(self, doorway: network.Doorway, address: str, execute: Execute) -> None:
        self._doorway = doorway
        self._address = address
        self._execute = execute

    async def ask(self, action: spec.Action, timeout_s: float) -> str:
        """Carry out an action; return an empty string, or a sentence about what failed."""
        try:
            async with asyncio.timeout(timeout_s):
                match action.kind:
                    case "exec":
                        return await self._execute(action.command, timeout_s)
                    case "sleep":
                        await asyncio.sleep(action.seconds)
                        return ""
                    case "tcpSocket":
                        (await self._connect(action)).close()
                        return ""
                    case "httpGet":
                        return await self._http(action)
        except TimeoutError:
            return f"no answer to {describe(action)} within {timeout_s:g} s"
        except (OSError, ValueError) as error:
            return f"{describe(action)} failed: {error}"

    async def _connect(self, action: spec.Action) -> socket.socket:
        address = ipaddress.ip_address(action.host or self._address)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
        made = await self._doorway.socket(family)
        try:
            await asyncio.get_running_loop().sock_connect(made, (str(address), action.port))
        except BaseException:
            made.close()
            raise
        return made

    async def _http(self, action: spec.Action) -> str:
        connected = await self._connect(action)
        tls = _unverified() if action.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            sock=connected, ssl=tls, server_hostname="" if tls else None
        )
        try:
            headers = {"Host": f"{action.host or self._address}:{action.port}"}
            headers |= {"User-Agent": "kube-probe/lab", "Connection": "close"}
            headers |= dict(action.headers)
            lines = [f"GET {action.path} HTTP/1.1"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            status = (await reader.readline()).decode("latin-1").split()
        finally:
            writer.close()
        if len(status) < 2 or not status[1].isdecimal():  # noqa: PLR2004 - version and status
            return f"{describe(action)} was answered by something that is not HTTP: {status}"
        if not MIN_GOOD_STATUS <= int(status[1]) <= MAX_GOOD_STATUS:
            return f"{describe(action)} was answered with status {status[1]}"
        return ""


def _unverified() -> ssl.SSLContext:
    """Return the context for HTTPS probes: the API says that they check no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def describe(action: spec.Action) -> str:
    """Name an action in a sentence."""
    match action.kind:
        case "exec":
            return f"the command {' '.join(action.command)!r}"
        case "tcpSocket":
            return f"a connection to port {action.port}"
        case "httpGet":
            return f"GET {action.scheme}, port {action.port}, {action.path}"
        case "sleep":
            return f"a sleep of {action.seconds} s"


async def watch(
    probe: spec.Probe, verdict: Verdict, prober: Prober, clock: clocks.Clock
) -> AsyncGenerator[str, None]:
    """Probe periodically, for ever; yield each settled verdict's complaint, empty when good."""
    await clock.sleep(probe.initial_delay_s)
    while True:
        complaint = await prober.ask(probe.action, probe.timeout_s)
        if verdict.judge(good=not complaint):
            yield complaint
        await clock.sleep(probe.period_s)
