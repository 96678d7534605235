# SPDX-License-Identifier: MIT
"""The Russian pages say what the English ones say, as far as a program can tell."""

import re

import pytest

from docs import hook

PAGES = {
    "README.md": "README.ru.md",
    "docs/install.md": "docs/ru/install.md",
    "docs/tutorial.md": "docs/ru/tutorial.md",
}
CYRILLIC = re.compile(r"[\u0400-\u04ff]{3}")
QUOTED = re.compile(r"`[^`]+`")
NAME = "# l2-load-balancer"
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def text(path):
    return (hook.ROOT / path).read_text()


def prose(path):
    """The paragraphs of a page, without its code."""
    return [part for part in BLOCK.sub("", text(path)).split("\n\n") if part.strip()]


@pytest.mark.parametrize(("english", "russian"), PAGES.items())
def test_the_code_is_the_same(english, russian):
    assert BLOCK.findall(text(russian)) == BLOCK.findall(text(english)), (
        f"change the blocks of {russian} as those of {english}"
    )


@pytest.mark.parametrize(("english", "russian"), PAGES.items())
def test_the_headings_are_as_many_and_as_deep(english, russian):
    def levels(path):
        return re.findall(r"^#+", BLOCK.sub("", text(path)), re.MULTILINE)

    assert levels(russian) == levels(english)


@pytest.mark.parametrize(("english", "russian"), PAGES.items())
def test_the_paragraphs_and_rows_are_as_many(english, russian):
    def shape(path):
        return [("|" in part, part.count("\n|"), part.count("\n- ")) for part in prose(path)]

    assert shape(russian) == shape(english)


@pytest.mark.parametrize(("english", "russian"), PAGES.items())
def test_the_same_options_and_names_are_spoken_of(english, russian):
    def spoken(path):
        return sorted(" ".join(name.split()) for name in QUOTED.findall("\n".join(prose(path))))

    assert spoken(russian) == spoken(english)


@pytest.mark.parametrize(("english", "russian"), PAGES.items())
def test_what_the_tests_do_instead_is_the_same(english, russian):
    def notes(path):
        return re.findall(r"<!-- test: .* -->", text(path))

    assert notes(russian) == notes(english)


@pytest.mark.parametrize("russian", PAGES.values())
def test_every_paragraph_is_in_russian(russian):
    for part in prose(russian):
        if not part.strip().startswith(("<!--", NAME)):
            assert CYRILLIC.search(part), part
