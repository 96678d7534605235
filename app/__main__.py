# SPDX-License-Identifier: MIT
"""`python -m app`: the webhook as a process."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from pathlib import Path

import uvicorn

from app import application, collector, errors, logs, settings, tls
from app.page import server as page


def main() -> int:
    """Serve until SIGTERM; return 2 when a setting cannot be used."""
    try:
        chosen = settings.read(sys.argv[1:], os.environ)
        logs.configure(form=chosen.log_form, level=chosen.log_level)
        config = _config(chosen)
    except errors.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    collector.relax()
    # uvicorn hands the signal on once it has shut down; ending as usual cleans up after the worker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(_serve(chosen, config))
    return 0


def _config(chosen: settings.Settings) -> uvicorn.Config:
    config = uvicorn.Config(
        application.create(chosen),
        host=chosen.host,
        port=chosen.port,
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


async def _serve(chosen: settings.Settings, config: uvicorn.Config) -> None:
    server = uvicorn.Server(config)
    async with page.serving(chosen):
        if config.ssl is None:
            await server.serve()
            return
        certificate = tls.Certificate(config.ssl, Path(chosen.tls_cert), Path(chosen.tls_key))
        following = asyncio.create_task(certificate.follow())
        await server.serve()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


if __name__ == "__main__":
    sys.exit(main())
