# SPDX-License-Identifier: MIT
"""`python -m app`: the webhook as a process."""

import os
import signal
import sys

import uvicorn

from app import application, collector, errors, logs, settings


def main() -> int:
    """Serve until SIGTERM; return 2 when a setting cannot be used."""
    try:
        chosen = settings.read(sys.argv[1:], os.environ)
        logs.configure(form=chosen.log_form, level=chosen.log_level)
        app = application.create(chosen)
    except errors.SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    collector.relax()
    # uvicorn hands the signal on once it has shut down; ending as usual cleans up after the worker.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        app,
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
