# SPDX-License-Identifier: MIT
import pytest

from app import errors, settings


def test_without_flags_and_variables_the_defaults_hold():
    assert settings.read([], {}) == settings.Settings()


def test_idle_connections_outlive_those_of_metacontroller():
    assert settings.KEEP_ALIVE_S > 90


def test_each_setting_has_a_flag_and_a_variable():
    from_flags = settings.read(["--port", "9", "--log-format", "console", "--host", "::"], {})
    environment = {"L2LB_PORT": "9", "L2LB_LOG_FORMAT": "console", "L2LB_HOST": "::"}
    assert from_flags == settings.read([], environment)
    assert (from_flags.port, from_flags.log_format, from_flags.host) == (9, "console", "::")


def test_a_flag_wins_over_its_variable():
    assert settings.read(["--port", "9"], {"L2LB_PORT": "10"}).port == 9


def test_aliases_are_pairs():
    chosen = settings.read(["--annotation-aliases", "a.b/c=load-balancer, a.b/d=ip-count"], {})
    assert chosen.keys.balancer == ("l2lb.io/load-balancer", "a.b/c")
    assert chosen.keys.ip_count == ("l2lb.io/ip-count", "a.b/d")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "http"], "--port is 'http': write a whole number"),
        (["--port", "65536"], "--port is '65536'"),
        (["--max-body-bytes", "0"], "--max-body-bytes is '0'"),
        (["--log-format", "xml"], "--log-format is 'xml': write one of json, console"),
        (["--log-level", "loud"], "--log-level is 'loud'"),
        (["--tls-cert", "a.pem"], "--tls-cert and --tls-key go together"),
        (["--annotation-prefix", ""], "--annotation-prefix is empty"),
        (["--annotation-aliases", "a.b/c"], "write key=name"),
        (["--annotation-aliases", "a.b/c=nothing"], "which is no key of ours"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_would_be_right(arguments, complaint):
    with pytest.raises(errors.SettingsError) as raised:
        settings.read(arguments, {})
    assert complaint in str(raised.value)


def test_help_names_every_flag(capsys):
    with pytest.raises(SystemExit):
        settings.read(["--help"], {})
    text = capsys.readouterr().out
    for name in settings.Settings.__dataclass_fields__:
        assert "--" + name.replace("_", "-") in text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("[::1]:8081", ("::1", 8081)),
        ("[::]:0", ("::", 0)),
        ("", None),
    ],
)
def test_the_page_is_served_where_the_setting_says(text, endpoint):
    assert settings.read([], {"L2LB_PAGE_LISTEN": text}).page_listen == endpoint


@pytest.mark.parametrize(
    "text", ["8081", "localhost:8081", "127.0.0.1", "127.0.0.1:", ":1", "::1:x"]
)
def test_a_place_for_the_page_that_cannot_be_is_refused_with_one_that_can(text):
    with pytest.raises(errors.SettingsError, match=r"write an address and a port, like 127\.0"):
        settings.read(["--page-listen", text], {})
