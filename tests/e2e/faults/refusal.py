# SPDX-License-Identifier: MIT
"""An HTTP server that answers everything with one status."""

import contextlib
import http.server
import threading
from collections.abc import Iterator

from lab import machines


@contextlib.contextmanager
def running(status: int) -> Iterator[str]:
    """Run it beside the control plane, where every node reaches it; yield its URL."""

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"broken on purpose\n")

        def log_message(self, *_: object) -> None:
            pass

    address = str(machines.ADDRESSES[0].ip)
    with http.server.ThreadingHTTPServer((address, 0), Refuse) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://{address}:{server.server_port}/"
        finally:
            server.shutdown()
            serving.join()
