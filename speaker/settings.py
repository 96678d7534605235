# SPDX-License-Identifier: MIT
"""The speaker's settings: flags, each also an `L2LB_*` environment variable."""

import argparse
import dataclasses
import hashlib
import ipaddress
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from contract import pool
from speaker import errors
from speaker.protocol import const
from speaker.wire import probes

_MIN_KEY_B: Final = 16
_MAX_PORT: Final = 65535


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """How one speaker runs. `proxy_health_port` 0 asks nobody."""

    node: str
    group: str
    keys: pathlib.Path
    cache: pathlib.Path | None
    listen: tuple[str, int] | None
    probe: probes.Pace
    announce_rate: float
    announce_burst: int
    local_address: pool.Address
    proxy_health_port: int
    log_format: str
    log_level: str

    @classmethod
    def parse(cls, arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Self:
        """Read the command line; exits with a sentence when it is wrong."""
        parser = _parser(environment)
        given = parser.parse_args(arguments)
        if not given.node_name:
            parser.error("--node-name (or L2LB_NODE_NAME) is missing: give the Node's name")
        return cls(
            node=given.node_name,
            group=given.group,
            keys=given.keys_dir,
            cache=given.cache_file if str(given.cache_file) != "." else None,
            listen=given.listen,
            probe=probes.PACES[given.probe],
            announce_rate=given.announce_rate,
            announce_burst=given.announce_burst,
            local_address=given.local_address,
            proxy_health_port=given.proxy_health_port,
            log_format=given.log_format,
            log_level=given.log_level,
        )


def read_keys(directory: pathlib.Path) -> tuple[bytes, ...]:
    """Return the heartbeat keys of a mounted Secret, in the order of their file names.

    A key may be any content of at least 16 bytes; it is hashed to 32. The same content in several
    files is one key. Raises SpeakerError when there is none, one is too short, or there are more
    than the protocol can name.
    """
    try:
        files = sorted(
            path for path in directory.iterdir() if path.is_file() and path.name[0] != "."
        )
        contents = {path.name: path.read_bytes().strip() for path in files}
    except OSError as error:
        raise errors.SpeakerError(
            f"heartbeat keys: {error}; mount a Secret there, one key a file, the same on every node"
        ) from error
    if not contents:
        raise errors.SpeakerError(
            f"heartbeat keys: {directory} holds no file; put a key of at least {_MIN_KEY_B} random "
            "bytes there, the same on every node"
        )
    for name, content in contents.items():
        if len(content) < _MIN_KEY_B:
            raise errors.SpeakerError(
                f"heartbeat key {directory / name} is {len(content)} bytes long: "
                f"want at least {_MIN_KEY_B}"
            )
    keys = dict.fromkeys(hashlib.blake2s(content).digest() for content in contents.values())
    if len(keys) > const.KEYS_MAX:
        raise errors.SpeakerError(
            f"heartbeat keys: {directory} holds {len(keys)} keys: want at most {const.KEYS_MAX}; "
            "take those away that are no longer used"
        )
    return tuple(keys)


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m speaker",
        description="Answer ARP and NDP on this node for the addresses that it holds.",
        epilog="Each option can be given as an environment variable: --node-name as L2LB_NODE_NAME."
        " The API server is found as KUBECONFIG says, or by the Pod's ServiceAccount.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def option(flag: str, default: str, text: str, **more: Any) -> None:
        variable = "L2LB_" + flag.removeprefix("--").replace("-", "_").upper()
        if "choices" in more:  # argparse does not compare a default with them
            more["type"] = _one_of(more["choices"], variable)
        parser.add_argument(flag, default=environment.get(variable, default), help=text, **more)

    option("--node-name", "", "this node's name, as its Node object has it")
    option("--group", "l2lb", "the cluster's id: speakers of another group are not listened to")
    option(
        "--keys-dir",
        "/etc/l2lb/keys",
        "directory of heartbeat keys, one a file, re-read when it changes; the first by name that "
        "every speaker has is used",
        type=pathlib.Path,
    )
    option(
        "--cache-file",
        "/run/l2lb/speaker.json",
        "where the last known children are kept for a start without API server; empty: nowhere",
        type=pathlib.Path,
    )
    option(
        "--listen",
        "127.0.0.1:7472",
        "address and port of /metrics, /healthz, /readyz and /status; empty: nowhere",
        type=_endpoint,
    )
    option(
        "--probe",
        "short",
        "how to ask whether a stranger has an address that none of us held before",
        choices=sorted(probes.PACES),
    )
    option(
        "--announce-rate",
        "200",
        "announcements a second on one interface, at most; keep it below what the switch's ARP "
        "inspection allows a port",
        type=_positive(float),
    )
    option("--announce-burst", "50", "announcements at once, at most", type=_positive(int))
    option(
        "--local-address",
        "127.0.0.1",
        "address at which this node's service proxy answers health checks while the Node object "
        "is not known; then it is the Node's first InternalIP",
        type=ipaddress.ip_address,
    )
    option(
        "--proxy-health-port",
        "10256",
        "port of the service proxy's health endpoint (kube-proxy's healthz); 0: none",
        type=_port,
    )
    option("--log-format", "json", "how log lines look", choices=["json", "console"])
    option("--log-level", "info", "the least severe lines to log", choices=["debug", "info"])
    return parser


def _endpoint(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        return host.strip("[]"), _port(port)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an address and a port: write 127.0.0.1:7472 or [::1]:7472"
        ) from None


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_MAX_PORT}")
    return port


def _one_of(choices: Sequence[str], variable: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(
                f"{text!r}, given here or as {variable}: write one of {', '.join(choices)}"
            )
        return text

    return parse


def _positive(kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> float:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
        return number

    parse.__name__ = kind.__name__
    return parse
