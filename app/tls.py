# SPDX-License-Identifier: MIT
"""The webhook's certificate, read anew when its files change."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

import structlog

CHECK_S: Final = 30.0  # the kubelet itself takes up to a minute to bring a changed Secret

log = structlog.get_logger()

Stamp = tuple[tuple[int, int], ...]


class Certificate:
    """The files of a certificate and the context that serves it.

    A Secret is renewed while the webhook runs, by cert-manager every other month; connections that
    are open go on, new ones get the new certificate.
    """

    def __init__(self, context: ssl.SSLContext, certificate: Path, key: Path) -> None:
        self._context = context
        self._files = certificate, key
        self._loaded = self._stamp()

    def reload_if_changed(self) -> bool:
        """Load the files when they are not those that are loaded; return whether they were.

        Files that do not fit together, as in the middle of a change, are tried again next time.
        """
        stamp = self._stamp()
        if stamp == self._loaded:
            return False
        try:
            self._context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning("certificate not reloaded", file=str(self._files[0]), error=str(error))
            return False
        self._loaded = stamp
        log.info("certificate reloaded", file=str(self._files[0]))
        return True

    async def follow(self) -> None:
        """Reload on every change, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            self.reload_if_changed()

    def _stamp(self) -> Stamp:
        stamps = []
        for file in self._files:
            try:
                found = file.stat()  # through the links that a mounted Secret is made of
            except OSError:
                stamps.append((0, 0))
            else:
                stamps.append((found.st_ino, found.st_mtime_ns))
        return tuple(stamps)
