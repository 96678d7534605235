# SPDX-License-Identifier: MIT
"""How a command inside the lab asks its supervisor for something.

One request a connection on a Unix socket: a JSON list of words from the
client, then ``{"done": sentence}`` or ``{"error": sentence}`` from the
supervisor, each ended by a newline.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab import errors

log = logging.getLogger(__name__)

SOCKET = "control.sock"
ANSWER_WITHIN_S = 180.0


def ask(*words: str) -> str:
    """Ask the supervisor of the lab that this process is in; return what it says was done."""
    directory = os.environ.get("LAB_DIR")
    if directory is None:
        raise errors.LabError(
            "this is not the inside of a lab: start one with 'python -m lab shell', "
            "or give this command to 'python -m lab run --'"
        )
    path = Path(directory) / SOCKET
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_WITHIN_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(words).encode() + b"\n")
            with connection.makefile() as stream:
                line = stream.readline()
        except OSError as error:
            raise errors.LabError(f"the lab's supervisor at {path} is silent: {error}") from None
    if not line:
        raise errors.LabError("the lab ended before it answered")
    answer = json.loads(line)
    if "error" in answer:
        raise errors.LabError(answer["error"])
    return str(answer["done"])


async def serve(
    directory: Path, perform: Callable[[list[str]], Awaitable[str]]
) -> asyncio.AbstractServer:
    """Answer requests with what ``perform`` returns, or the LabError that it raises."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            words = json.loads(await reader.readline())
            try:
                answer = {"done": await perform(words)}
            except errors.LabError as error:
                answer = {"error": str(error)}
            except Exception as error:
                log.exception("could not do %r", words)
                answer = {
                    "error": f"{' '.join(words)!r} failed, see 'lab logs supervisor': {error!r}"
                }
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError):
            return  # the client went away, or is none of ours
        finally:
            writer.close()

    return await asyncio.start_unix_server(connected, directory / SOCKET)
