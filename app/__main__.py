# SPDX-License-Identifier: MIT
"""`python -m app`: the webhook as a process."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from pathlib import Path

import structlog
import uvicorn

from app import application, collector, errors, listening, logs, settings, tls
from app.page import server as page

log = structlog.get_logger()


def main() -> int:
    """Serve until SIGTERM; return 2 when a setting cannot be used."""
    try:
        chosen = settings.read(sys.argv[1:], os.environ)
        logs.configure(form=chosen.log_format, level=chosen.log_level)
        config = _config(chosen)
        hooks = _listen(chosen)
    except errors.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    collector.relax()
    # uvicorn hands the signal on once it has shut down; ending as usual cleans up after the worker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(_serve(chosen, config, hooks))
    return 0


def _config(chosen: settings.Settings) -> uvicorn.Config:
    config = uvicorn.Config(
        application.create(chosen),
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.KEEP_ALIVE_S,
        timeout_graceful_shutdown=10,
        ssl_certfile=chosen.tls_cert or None,
        ssl_keyfile=chosen.tls_key or None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise errors.SettingsError(
            f"--tls-cert {chosen.tls_cert} with --tls-key {chosen.tls_key} cannot be used: {error}"
        ) from None
    return config


def _listen(chosen: settings.Settings) -> socket.socket:
    try:
        return listening.listen(chosen.host, chosen.port)
    except OSError as error:
        raise errors.SettingsError(
            f"--host {chosen.host} with --port {chosen.port} cannot be listened on: {error}; give "
            "an address of this machine and a free port"
        ) from None


class _Server(uvicorn.Server):
    """A server that says where it serves, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        scheme = "http" if self.config.ssl is None else "https"
        for one in sockets or ():
            host, port = one.getsockname()[:2]
            where = f"[{host}]" if ":" in host else host
            log.info("the hooks are served", url=f"{scheme}://{where}:{port}")


async def _serve(chosen: settings.Settings, config: uvicorn.Config, hooks: socket.socket) -> None:
    server = _Server(config)
    async with page.serving(chosen):
        if config.ssl is None:
            await server.serve([hooks])
            return
        certificate = tls.Certificate(config.ssl, Path(chosen.tls_cert), Path(chosen.tls_key))
        following = asyncio.create_task(certificate.follow())
        await server.serve([hooks])
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


if __name__ == "__main__":
    sys.exit(main())
