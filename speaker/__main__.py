# SPDX-License-Identifier: MIT
"""`python -m speaker`."""

import asyncio
import contextlib
import gc
import sys

from speaker import daemon, errors, log, privileges, settings
from speaker.cluster import api


async def _run(chosen: settings.Settings, logger: log.Logger) -> None:
    speaker = daemon.Daemon(chosen, api.Api.from_environment(), logger)
    # What is loaded now stays: collections need not look at it again.
    gc.collect()
    gc.freeze()
    await speaker.run()


def main() -> int:
    """Run a speaker until SIGTERM; the exit status is 1 when something made it impossible."""
    chosen = settings.Settings.parse(sys.argv[1:])
    logger, lines = log.configure(chosen.log_format, chosen.log_level)
    with contextlib.ExitStack() as entered:  # so that the last line waits for no reader either
        try:
            privileges.keep_only_net_raw()
            entered.enter_context(lines)
            asyncio.run(_run(chosen, logger))
        except errors.SpeakerError as error:
            logger.error("ended", error=str(error))  # noqa: TRY400 - the sentence says it all
            return 1
        except Exception as error:
            logger.exception("ended", error=f"{type(error).__name__}: {error}")
            return 1
        logger.info("left")
        return 0


if __name__ == "__main__":
    sys.exit(main())
