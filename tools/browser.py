# SPDX-License-Identifier: MIT
"""A headless Chromium, for tests of the page and for its pictures in the documentation."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright import sync_api

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = "needs a browser: install the package chromium"
# Whatever a browser does in the background would be traffic that nobody asked for.
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--headless=new",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


def program() -> str | None:
    """Return the path of the browser, None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextlib.contextmanager
def opened(executable: str, *, netns: str | None = None) -> Iterator[sync_api.Browser]:
    """Run the browser, in a network namespace if one is named, and end it."""
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as playwright:
        if netns is not None:
            wrapper = Path(folder) / "browser"
            wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {netns} {executable} "$@"\n')
            wrapper.chmod(0o700)
            executable = str(wrapper)
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
