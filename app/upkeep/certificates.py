# SPDX-License-Identifier: MIT
"""The authority and the certificate for TLS between Metacontroller and the webhook.

Made by the openssl program: the standard library reads certificates but makes none, and what
happens once a release is no reason for another package in the image.
"""

import dataclasses
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

AUTHORITY_DAYS: Final = 30 * 365
CERTIFICATE_DAYS: Final = 10 * 365
RENEW_DAYS: Final = 5 * 365  # an upgrade within the second half renews; no one is made to
TIMEOUT_S: Final = 20.0
_CONFIG: Final = "[req]\ndistinguished_name = subject\n[subject]\n"  # none of the machine's own
_DAY_S: Final = 24 * 3600


class CertificateError(Exception):
    """openssl could not do it; the message has its words."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = dataclasses.field(repr=False)


def make_authority() -> Pair:
    """Return a new authority. Raises CertificateError."""
    with tempfile.TemporaryDirectory() as name:
        return _request(
            Path(name),
            subject="/CN=l2lb webhook authority",
            days=AUTHORITY_DAYS,
            extensions=[
                "basicConstraints=critical,CA:TRUE,pathlen:0",
                "keyUsage=critical,keyCertSign",
            ],
        )


def make(authority: Pair, names: Sequence[str]) -> Pair:
    """Return a certificate for a server of these DNS names. Raises CertificateError."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "ca.crt").write_bytes(authority.certificate)
        (directory / "ca.key").write_bytes(authority.key)
        return _request(
            directory,
            subject=f"/CN={names[0]}",
            days=CERTIFICATE_DAYS,
            extensions=[
                "basicConstraints=critical,CA:FALSE",
                "keyUsage=critical,digitalSignature",
                "extendedKeyUsage=serverAuth",
                "subjectAltName=" + ",".join(f"DNS:{dns}" for dns in names),
            ],
            options=["-CA", "ca.crt", "-CAkey", "ca.key"],
        )


def complaint(certificate: bytes, authority: bytes, names: Sequence[str], *, now: float) -> str:
    """Return why a certificate is to be made anew, and nothing when it is not.

    `now` is in seconds since the epoch; a certificate must be good for RENEW_DAYS from there.
    """
    until = int(now) + RENEW_DAYS * _DAY_S
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "ca.crt").write_bytes(authority)
        (directory / "tls.crt").write_bytes(certificate)
        checks = [["-attime", str(until), "-purpose", "sslserver"]]
        checks += [["-verify_hostname", dns, "-attime", str(until)] for dns in names]
        for check in checks:
            try:
                _openssl(directory, "verify", "-CAfile", "ca.crt", *check, "tls.crt")
            except CertificateError as error:
                return str(error)
    return ""


def _request(
    directory: Path,
    *,
    subject: str,
    days: int,
    extensions: Sequence[str],
    options: Sequence[str] = (),
) -> Pair:
    (directory / "openssl.cnf").write_text(_CONFIG)
    _openssl(
        directory,
        *("req", "-x509", "-config", "openssl.cnf", "-subj", subject, "-days", str(days)),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-sha256"),
        *("-keyout", "new.key", "-out", "new.crt"),
        *(word for extension in extensions for word in ("-addext", extension)),
        *options,
    )
    return Pair((directory / "new.crt").read_bytes(), (directory / "new.key").read_bytes())


def _openssl(directory: Path, *words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - words of our own, and no shell
            ["openssl", *words],  # noqa: S607 - where the image has it
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise CertificateError(
            "there is no program openssl: install it, or give the webhook's certificate as "
            "webhook.tls.existingSecret"
        ) from None
    except subprocess.TimeoutExpired:
        raise CertificateError(f"openssl {words[0]} took longer than {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise CertificateError(f"openssl {words[0]} failed: {said}")
