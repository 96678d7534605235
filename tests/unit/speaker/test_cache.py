# SPDX-License-Identifier: MIT
import contextlib
import dataclasses
import datetime as dt
import ipaddress
import os
import pathlib
import re
import signal
from collections.abc import Iterator

import pytest

from chart import readme
from contract import announcement, child, pool
from speaker import errors, knowledge
from speaker.cluster import cache, view

KNOWN = view.KnownChild(
    child=child.Child(
        "shop",
        "web-l2-1",
        "web",
        "u",
        "front",
        ipaddress.ip_address("2001:db8::1"),
        ("n1",),
        1,
        (child.Port(80),),
        1,
    ),
    created=1_767_225_600,
    version="7",
    status={},
    announced=None,
)
NODE = view.OwnNode(
    ready=False,
    network_unavailable=True,
    cordoned=True,
    excluded=True,
    address=ipaddress.ip_address("192.0.2.1"),
)
BALANCER = view.Balancer("front", ("2001:db8::/120",), pool.Pool.parse(["2001:db8::/120"]), False)


def test_what_is_written_is_read_again(tmp_path: pathlib.Path) -> None:
    file = cache.Cache(tmp_path / "run" / "speaker.json")
    file.write([KNOWN], [BALANCER], NODE)
    read = file.read()
    assert read is not None
    children, balancers = view.Children(), view.Balancers()
    children.apply(read.children)
    balancers.apply(read.balancers)
    assert list(children.by_key.values()) == [KNOWN]
    assert balancers.by_name == {"front": BALANCER}
    known = knowledge.Knowledge("n1")
    assert read.node is not None
    assert known.take_node(read.node)
    assert known.node == NODE


def test_ten_thousand_children_and_their_successors_fit_into_the_charts_volume(
    tmp_path: pathlib.Path,
) -> None:
    nodes = tuple(f"worker-{number}.prod.example.com" for number in range(16))
    one = dataclasses.replace(
        KNOWN.child,
        namespace="a-teams-namespace",
        name="an-ordinary-service-l2-1",
        service="an-ordinary-service",
        service_uid="0b7c0a4e-3a5c-4d1e-9a51-0d1f5ad2f1f0",
        nodes=nodes,
    )
    said = announcement.Announcement.by(
        one.address, node=nodes[0], interface="bond0.100", mac="02:00:00:00:00:01"
    )
    status = announcement.encode_status(said, previous={}, now=dt.datetime.now(dt.UTC))
    path = tmp_path / "speaker.json"
    children = [dataclasses.replace(KNOWN, child=one, status=status)] * 100
    cache.Cache(path).write(children, [BALANCER], NODE)
    size_b = path.stat().st_size / len(children)
    daemonset = readme.CHART / "templates" / "speaker" / "daemonset.yaml"
    (limit_mib,) = re.findall(
        r"name: cache\n +emptyDir: .*sizeLimit: (\d+)Mi", daemonset.read_text()
    )
    assert 2 * 10_000 * size_b < int(limit_mib) << 20


def test_a_file_of_a_release_that_kept_no_node_is_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "speaker.json"
    path.write_text('{"format":1,"children":[],"balancers":[]}', encoding="ascii")
    read = cache.Cache(path).read()
    assert read is not None
    assert read.node is None


def test_without_a_file_there_is_nothing_to_go_on_with(tmp_path: pathlib.Path) -> None:
    assert cache.Cache(tmp_path / "none.json").read() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format":1}', b"\xff"])
def test_a_damaged_file_is_complained_of(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "speaker.json"
    path.write_bytes(content)
    with pytest.raises(errors.SpeakerError, match=r"speaker\.json"):
        cache.Cache(path).read()


def test_a_file_of_another_format_is_no_cache(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "speaker.json"
    path.write_text('{"format": 99}', encoding="ascii")
    assert cache.Cache(path).read() is None


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = cache.Cache(tmp_path / "speaker.json")
    file.write([KNOWN], [BALANCER], None)
    before = (tmp_path / "speaker.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(errors.SpeakerError, match="No space left"):
        file.write([], [], None)
    assert [path.name for path in tmp_path.iterdir()] == ["speaker.json"]
    assert (tmp_path / "speaker.json").read_bytes() == before


def test_what_writers_that_were_killed_leave_is_one_file_and_goes_with_the_next_write(
    tmp_path: pathlib.Path,
) -> None:
    file = cache.Cache(tmp_path / "speaker.json")

    def killed() -> Iterator[view.KnownChild]:
        yield KNOWN
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(3):
        writer = os.fork()
        if writer == 0:
            with contextlib.suppress(BaseException):
                file.write(killed(), [], None)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    file.write([KNOWN], [BALANCER], None)
    assert [path.name for path in tmp_path.iterdir()] == ["speaker.json"]
    assert (tmp_path / "speaker.json").stat().st_mode & 0o777 == 0o600


def test_without_a_path_nothing_is_kept() -> None:
    nowhere = cache.Cache(None)
    nowhere.write([KNOWN], [BALANCER], None)
    assert nowhere.read() is None
