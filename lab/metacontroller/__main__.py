# SPDX-License-Identifier: MIT
"""``python -m lab.metacontroller``: run the stand-in until it is told to end."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from lab import api
from lab.metacontroller import process
from lab.metacontroller.trace import Trace

NOTICE = (
    "This is not Metacontroller but a stand-in for it, a tool of the lab: never use it elsewhere."
)

USER_AGENT = "metacontroller-stand-in"


def main() -> int:
    """Read the command line and run; the exit status is 0 after SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m lab.metacontroller", description=NOTICE)
    parser.add_argument(
        "--kubeconfig", type=Path, help="which API server, as whom (default: those of the Pod)"
    )
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="record each hook call, one JSON object a line"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=process.WORKERS,
        metavar="N",
        help="syncs at a time for each controller (default: %(default)s)",
    )
    arguments = parser.parse_args()
    print(NOTICE, flush=True)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        server = _server(arguments.kubeconfig)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return asyncio.run(_run(server, arguments.trace, arguments.workers))


def _server(kubeconfig: Path | None) -> api.Api:
    if kubeconfig is None:
        return api.Api.in_cluster(user_agent=USER_AGENT)
    return api.Api.from_kubeconfig(kubeconfig, user_agent=USER_AGENT)


async def _run(server: api.Api, trace: Path | None, workers: int) -> int:
    with contextlib.ExitStack() as stack:
        file = None if trace is None else stack.enter_context(trace.open("a"))
        async with server:
            serving = asyncio.create_task(process.serve(server, Trace(file), workers=workers))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, serving.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await serving
    return 0


if __name__ == "__main__":
    sys.exit(main())
