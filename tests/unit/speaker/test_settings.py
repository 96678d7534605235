# SPDX-License-Identifier: MIT
import pathlib

import pytest

from speaker import errors, settings
from speaker.protocol import const, frame
from speaker.wire import probes


def parse(*arguments: str, **environment: str) -> settings.Settings:
    return settings.Settings.parse(arguments, {"L2LB_NODE_NAME": "n1"} | environment)


def test_defaults_suit_a_pod() -> None:
    chosen = parse()
    assert chosen.node == "n1"
    assert chosen.listen == ("127.0.0.1", 7472)
    assert chosen.probe is probes.SHORT
    assert chosen.cache == pathlib.Path("/run/l2lb/speaker.json")


def test_a_flag_goes_before_its_variable() -> None:
    assert parse("--group", "b", L2LB_GROUP="a").group == "b"
    assert parse(L2LB_GROUP="a").group == "a"
    assert parse(L2LB_ANNOUNCE_RATE="7").announce_rate == 7.0


def test_empty_means_none() -> None:
    chosen = parse(L2LB_LISTEN="", L2LB_CACHE_FILE="")
    assert chosen.listen is None
    assert chosen.cache is None


def test_ipv6_endpoints_are_written_in_brackets() -> None:
    assert parse("--listen", "[::1]:80").listen == ("::1", 80)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--node-name", ""), "--node-name"),
        (("--listen", "localhost:80"), "localhost:80"),
        (("--listen", "127.0.0.1:99999"), "99999"),
        (("--proxy-health-port", "-1"), "-1"),
        (("--announce-rate", "0"), "0"),
        (("--announce-burst", "many"), "many"),
        (("--probe", "never"), "never"),
        (("--local-address", "here"), "here"),
    ],
)
def test_a_wrong_setting_is_named(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "choices"),
    [
        ("L2LB_PROBE", "shrt", sorted(probes.PACES)),
        ("L2LB_LOG_FORMAT", "jsn", ["json", "console"]),
        ("L2LB_LOG_LEVEL", "", ["debug", "info"]),
    ],
)
def test_a_variable_that_is_none_of_the_choices_is_named_with_them(
    variable: str, value: str, choices: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(**{variable: value})
    said = capsys.readouterr().err
    assert f"{value!r}, given here or as {variable}: write one of {', '.join(choices)}" in said
    flag = "--" + variable.removeprefix("L2LB_").replace("_", "-").lower()
    parse(flag, choices[0], **{variable: value})  # the flag goes before it


def test_every_setting_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse("--help")
    assert "L2LB_NODE_NAME" in capsys.readouterr().out


def test_keys_are_read_in_the_order_of_their_names(tmp_path: pathlib.Path) -> None:
    (tmp_path / "b").write_bytes(b"second key, long enough\n")
    (tmp_path / "a").write_bytes(b"first key, long enough")
    (tmp_path / "..data").mkdir()  # as a mounted Secret has
    (tmp_path / ".hidden").write_bytes(b"short")
    first, second = settings.read_keys(tmp_path)
    assert len(first) == len(second) == 32
    (tmp_path / "b").write_bytes(b"second key, long enough")
    assert settings.read_keys(tmp_path) == (first, second)


def test_missing_and_short_keys_are_complained_of(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.SpeakerError, match="holds no file"):
        settings.read_keys(tmp_path)
    with pytest.raises(errors.SpeakerError, match="mount a Secret"):
        settings.read_keys(tmp_path / "nowhere")
    (tmp_path / "a").write_bytes(b"short")
    with pytest.raises(errors.SpeakerError, match="5 bytes"):
        settings.read_keys(tmp_path)


def test_no_more_keys_are_read_than_the_protocol_can_use(tmp_path: pathlib.Path) -> None:
    def write(number: int, content: int) -> None:
        (tmp_path / f"key-{number:02}").write_text(f"a long key, number {content}", "ascii")

    for number in range(const.KEYS_MAX):
        write(number, number)
    most = settings.read_keys(tmp_path)
    write(const.KEYS_MAX, 0)  # the same content again is no further key
    assert settings.read_keys(tmp_path) == most
    frame.Codec("l2lb", most, (1, 1))
    write(const.KEYS_MAX, const.KEYS_MAX)
    with pytest.raises(errors.SpeakerError, match=r"holds 9 keys: want at most 8"):
        settings.read_keys(tmp_path)
