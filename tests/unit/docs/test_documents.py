# SPDX-License-Identifier: MIT
"""How the end-to-end tests read the pages whose commands they run."""

import re

import pytest

from docs import hook
from tests.e2e import documents

PAGE = """\
# A page
<!-- test: read 10.0.0. for 192.0.2. -->

```console
$ echo one
one
$ cat <<EOF
$ no command
EOF
$ echo a \\
    192.0.2.1
```

<!-- test: skip, as it needs a registry -->
```console
$ docker push x
```

<!-- test: instead true -->
```console
$ false
```

```yaml
$ neither: this
```
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_commands_are_read_with_what_continues_them_and_what_they_show(page):
    steps = [(step.command, step.shown) for step in documents.steps(page)]

    assert steps == [
        ("echo one", ("one",)),
        ("cat <<EOF\n$ no command\nEOF", ()),
        ("echo a \\\n    10.0.0.1", ()),
        ("true", ()),
    ]


def test_a_step_knows_its_line(page):
    first = next(documents.steps(page))

    assert PAGE.splitlines()[first.line - 1] == "$ echo one"


@pytest.mark.parametrize(
    ("shown", "output"),
    [
        ((), "anything\n"),
        (("a  b",), "a b\n"),
        (("a ... c",), "a b b c\n"),
        (("...", "b"), "a\na\nb\n"),
        (("b", "..."), "b\n"),
        (("web (1)",), "web (1)\n"),
    ],
)
def test_an_output_is_what_is_shown(shown, output):
    assert documents.matches(shown, output)


@pytest.mark.parametrize(
    ("shown", "output"),
    [(("a",), "b\n"), (("a",), "a\nb\n"), (("a", "b"), "a\n"), (("a.c",), "abc\n")],
)
def test_an_output_is_not_what_is_shown(shown, output):
    assert not documents.matches(shown, output)


def test_a_shell_keeps_its_variables_and_tells_how_a_command_ended(tmp_path):
    shell = documents.Shell(tmp_path)
    assert shell.run("x=5; false")[0] == 1
    assert shell.run("echo $x") == (0, "5\n\n")
    shell.close()


def test_a_command_that_a_page_says_fails_must_fail(tmp_path):
    shell = documents.Shell(tmp_path)
    shell.do(documents.Step(7, "echo no; false", ("no",), fails=True))
    with pytest.raises(AssertionError, match="ended with 0"):
        shell.do(documents.Step(7, "echo no", ("no",), fails=True))
    shell.close()


def test_what_a_page_does_not_show_fails_with_its_line(tmp_path):
    shell = documents.Shell(tmp_path)
    with pytest.raises(AssertionError, match=r"line 7: 'echo b' ended with 0 and printed\nb"):
        shell.do(documents.Step(7, "echo b", ("a",)))
    shell.close()


@pytest.mark.parametrize("name", ["install.md", "tutorial.md"])
def test_the_pages_have_commands_to_run(name):
    assert len(list(documents.steps(hook.ROOT / "docs" / name))) >= 10


@pytest.mark.parametrize("name", ["install.md", "tutorial.md"])
def test_no_command_is_in_a_block_that_is_not_run(name):
    kinds = re.findall(r"^ *```(\w*)$", (hook.ROOT / "docs" / name).read_text(), re.MULTILINE)

    assert set(kinds) == {"console", ""}
    assert kinds[::2] == ["console"] * (len(kinds) // 2)


def test_no_page_looks_for_a_services_conditions_where_kubectl_shows_none():
    pages = [*hook.ROOT.glob("*.md"), *(hook.ROOT / hook.DOCS).rglob("*.md")]
    found = [
        f"{page.relative_to(hook.ROOT)}: {line}"
        for page in pages
        for line in page.read_text().splitlines()
        if re.search(r"\bdescribe (service|svc)s?\b", line)
    ]

    assert not found, "'kubectl describe service' prints Events and no conditions"
