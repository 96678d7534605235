# SPDX-License-Identifier: MIT
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lab.agent import files

NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "f/g/h"])
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=5))


def visible(directory: Path) -> dict[str, bytes]:
    """Read a volume as a program would: not what begins with two dots."""
    found: dict[str, bytes] = {}
    for entry in directory.iterdir():
        if entry.name.startswith(".."):
            continue
        below = [entry] if entry.is_file() else list(entry.rglob("*"))
        found |= {
            str(path.relative_to(directory)): path.read_bytes() for path in below if path.is_file()
        }
    return found


@given(st.lists(CONTENTS, min_size=1, max_size=6))
def test_a_volume_always_holds_exactly_what_was_published_last(
    generations: list[dict[str, bytes]],
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "volume"
        for contents in generations:
            files.publish(directory, {name: files.File(data) for name, data in contents.items()})
            assert visible(directory) == contents
        left = [entry.name for entry in directory.iterdir() if entry.name.startswith("..")]
        assert len(left) == 2  # ..data and the one generation it names


def test_a_reader_that_holds_the_old_generation_open_reads_on(tmp_path: Path) -> None:
    files.publish(tmp_path, {"key": files.File(b"old"), "id": files.File(b"1")})
    with (tmp_path / "key").open("rb") as held:
        files.publish(tmp_path, {"key": files.File(b"new"), "id": files.File(b"2")})
        assert held.read() == b"old"
    assert (tmp_path / "key").read_bytes() == b"new"


def test_a_file_has_the_mode_it_was_given(tmp_path: Path) -> None:
    files.publish(tmp_path, {"key": files.File(b"", 0o400)})
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o400


def test_a_replaced_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        files.replace(tmp_path / "hosts", content)
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == [b"2"]
