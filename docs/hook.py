# SPDX-License-Identifier: MIT
"""What MkDocs runs while it builds the site: pages from outside of docs/, and their links.

Files are written for those who read them in the repository, with links that work there. So a
link out of `docs/` leads to the page that the site has of that file, and is plain text where it
has none.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = "docs"
# Files outside of docs/ that are pages of the site, with their place there.
OUTSIDE: Final = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.ru.md": "ru/index.md",
    "SECURITY.md": "reporting.md",
    "chart/README.md": "chart.md",
}
START: Final = {"index", "README"}  # either is the first page of a folder
_LINK: Final = re.compile(
    r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#:\s]+)(?P<part>#[^)\s]*)?\)"
)
_SOURCE: Final = re.compile(r'\b(?P<name>src|srcset)="(?P<path>[^":\s]+)"')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace patterns in the navigation by the pages that they match."""
    config.nav = _expanded(config.nav or [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside."""
    for origin, place in OUTSIDE.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001  # MkDocs names the arguments
    """Let the links of a page lead to where the site has what they name."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, place: str) -> str:
    """Return a page's text with links and pictures that work from its place in the site."""
    origins = {place: origin for origin, place in OUTSIDE.items()}
    folder = posixpath.dirname(origins.get(place, posixpath.join(DOCS, place)))

    def found(path: str) -> str | None:
        """Return the way from the page to what a path leads to, if the site has it."""
        target = posixpath.normpath(posixpath.join(folder, path))
        where = OUTSIDE.get(target)
        if where is None and target.startswith(f"{DOCS}/") and not (ROOT / target).is_dir():
            where = target.removeprefix(f"{DOCS}/")
        return where and posixpath.relpath(where, posixpath.dirname(place) or ".")

    def link(match: re.Match[str]) -> str:
        path = found(match["path"])
        if path is not None:
            return f"{match['mark']}[{match['text']}]({path}{match['part'] or ''})"
        return match["text"] if (ROOT / folder / match["path"]).exists() else match[0]

    def source(match: re.Match[str]) -> str:
        return f'{match["name"]}="{found(match["path"]) or match["path"]}"'

    return _SOURCE.sub(source, _LINK.sub(link, markdown))


def _expanded(entries: list[Any]) -> list[Any]:
    """Return entries of the navigation in which `folder/*.md` is the pages there, by name."""
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            for title, below in entry.items():
                pages = _expanded(below if isinstance(below, list) else [below])
                if isinstance(below, list):
                    found += [{title: pages}] if pages else []
                else:
                    found += [{title: page} for page in pages]
        elif "*" in entry:
            here = sorted(
                (ROOT / DOCS).glob(entry), key=lambda path: (path.stem not in START, path)
            )
            found += [path.relative_to(ROOT / DOCS).as_posix() for path in here]
        else:
            found.append(entry)
    return found
