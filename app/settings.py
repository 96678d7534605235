# SPDX-License-Identifier: MIT
"""The webhook's settings: flags, and `L2LB_*` environment variables for the same."""

import argparse
import dataclasses
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

from app import annotations, errors, listening
from contract import names

ENVIRONMENT_PREFIX: Final = "L2LB_"
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
# Metacontroller's HTTP client keeps idle connections for 90 s; a server that closes them earlier
# now and then loses a request that is just being sent.
KEEP_ALIVE_S: Final = 120
_MAX_PORT: Final = 65535


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """All settings, valid."""

    host: str = listening.EVERYWHERE  # a webhook is there to be reached
    port: int = 8080
    max_body_bytes: int = MAX_BODY_BYTES
    log_format: str = "json"
    log_level: str = "info"
    annotation_prefix: str = names.GROUP
    annotation_aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tls_cert: str = ""
    tls_key: str = ""
    kube_api: str = ""
    kube_token_file: str = ""
    kube_ca_file: str = ""
    page_listen: tuple[str, int] | None = None

    @property
    def keys(self) -> annotations.Keys:
        """The annotation keys in force."""
        return annotations.Keys.of(prefix=self.annotation_prefix, aliases=self.annotation_aliases)


_DEFAULTS: Final = Settings()


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings; a flag wins over its variable. Raises SettingsError.

    Exits, as command lines do, on --help and on unknown flags.
    """
    given = {
        name: value
        for name, value in vars(_parser().parse_args(arguments)).items()
        if value is not None
    }
    from_environment = {
        field.name: environment[variable]
        for field in dataclasses.fields(Settings)
        if (variable := ENVIRONMENT_PREFIX + field.name.upper()) in environment
    }
    texts = from_environment | given
    settings = Settings(
        host=texts.get("host", _DEFAULTS.host),
        port=_number(texts, "port", _DEFAULTS.port, least=0, most=_MAX_PORT),
        max_body_bytes=_number(texts, "max_body_bytes", MAX_BODY_BYTES, most=1 << 31),
        log_format=_one_of(texts, "log_format", ("json", "console")),
        log_level=_one_of(texts, "log_level", ("info", "debug", "warning", "error")),
        annotation_prefix=texts.get("annotation_prefix", names.GROUP),
        annotation_aliases=_aliases(texts.get("annotation_aliases", "")),
        tls_cert=texts.get("tls_cert", ""),
        tls_key=texts.get("tls_key", ""),
        kube_api=texts.get("kube_api", ""),
        kube_token_file=texts.get("kube_token_file", ""),
        kube_ca_file=texts.get("kube_ca_file", ""),
        page_listen=_endpoint(texts, "page_listen"),
    )
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise errors.SettingsError("--tls-cert and --tls-key go together: set both or none")
    if not settings.annotation_prefix:
        raise errors.SettingsError("--annotation-prefix is empty: write a DNS name, like l2lb.io")
    _ = settings.keys  # raises for an alias that stands for nothing
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description="The webhook of l2-load-balancer: answers Metacontroller's hooks over HTTP.",
        epilog=(
            "Each flag can be set by an environment variable as well: --max-body-bytes is "
            f"{ENVIRONMENT_PREFIX}MAX_BODY_BYTES. API documentation is served at /docs."
        ),
    )
    add = parser.add_argument
    add(
        "--host",
        help=f"address to listen on; :: is every one, IPv4 too (default: {_DEFAULTS.host})",
    )
    add("--port", help=f"TCP port to listen on (default: {_DEFAULTS.port})")
    add("--max-body-bytes", help=f"larger requests get 413 (default: {MAX_BODY_BYTES})")
    add("--log-format", help="json or console (default: json)")
    add("--log-level", help="debug, info, warning or error (default: info)")
    add(
        "--annotation-prefix",
        help=f"prefix of the annotations that users write (default: {names.GROUP})",
    )
    add(
        "--annotation-aliases",
        help=(
            "foreign keys to accept as ours, like "
            "network.deckhouse.io/l2-load-balancer-name=load-balancer,"
            "network.deckhouse.io/l2-load-balancer-external-ips-count=ip-count"
        ),
    )
    add("--tls-cert", help="PEM file; with --tls-key the webhook speaks HTTPS")
    add("--tls-key", help="PEM file of the certificate's key")
    add("--kube-api", help="URL of the API server (default: that of the cluster whose Pod this is)")
    add("--kube-token-file", help="file with the token for --kube-api, read anew for each request")
    add("--kube-ca-file", help="PEM file of the authority that signed --kube-api's certificate")
    add(
        "--page-listen",
        help=(
            "address and port of the page that shows balancers and addresses, like "
            "127.0.0.1:8081, for kubectl port-forward (default: nowhere)"
        ),
    )
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _number(texts: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int) -> int:
    text = texts.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= most:
        raise errors.SettingsError(
            f"{_flag(name)} is {text!r}: write a whole number from {least} to {most}"
        )
    return int(text)


def _endpoint(texts: Mapping[str, str], name: str) -> tuple[str, int] | None:
    text = texts.get(name, "")
    if not text:
        return None
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        return str(address), _number({name: port}, name, 0, least=0, most=_MAX_PORT)
    except ValueError:
        raise errors.SettingsError(
            f"{_flag(name)} is {text!r}: write an address and a port, like 127.0.0.1:8081"
        ) from None


def _one_of(texts: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = texts.get(name, choices[0])
    if text not in choices:
        raise errors.SettingsError(f"{_flag(name)} is {text!r}: write one of {', '.join(choices)}")
    return text


def _aliases(text: str) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, name = pair.partition("=")
        if not equals or not key or not name:
            raise errors.SettingsError(
                f"--annotation-aliases holds {pair!r}: write key=name, like "
                "network.deckhouse.io/l2-load-balancer-name=load-balancer"
            )
        aliases[key] = name
    return aliases
