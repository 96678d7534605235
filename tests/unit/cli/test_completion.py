# SPDX-License-Identifier: MIT
import shutil
import subprocess

import pytest

from cli import __main__ as program
from cli import arguments, cluster, completion, errors


@pytest.fixture
def suggested(server, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: server.connection())

    def ask(*words: str) -> list[str]:
        completion.main(list(words))
        found: list[str] = capsys.readouterr().out.splitlines()
        directive = found.pop()
        assert directive == ":4"
        return found

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("",), sorted(arguments.COMMANDS)),
        (("s",), ["simulate", "status"]),
        (("status", ""), ["front"]),
        (("status", "-n", ""), ["shop"]),
        (("status", "-o", ""), ["json", "wide", "yaml"]),
        (("explain", ""), ["service"]),
        (("explain", "service", "shop/"), ["shop/web"]),
        (("drain", ""), ["n1", "n2", "n3"]),
        (("drain", "n1", "--by", ""), ["cordon", "label"]),
        (("drain", "n1", "--timeout", ""), []),
        (("drain", "--u"), ["--undo"]),
        (("wire", "192.0.2.1"), ["192.0.2.10", "192.0.2.11", "192.0.2.12"]),
        (("simulate", "--fail", "n1", ""), ["n2", "n3"]),
        (("simulate", "--add", ""), []),
        (("simulate", ""), []),
        (("simulate", "--balancer", ""), ["front"]),
        (("check", ""), []),
        (("completion", ""), ["bash", "fish", "zsh"]),
    ],
)
def test_what_can_follow(suggested, words, expected):
    assert suggested(*words) == expected


def test_without_a_cluster_there_are_no_names_and_no_error(monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise errors.ClusterError("no way")

    monkeypatch.setattr(cluster, "connect", refuse)
    assert completion.main(["drain", ""]) == 0
    assert capsys.readouterr().out == ":4\n"


def test_every_flag_that_is_suggested_is_one(capsys):
    for command, flags in completion._FLAGS.items():
        line = [command, "service"] if command == "explain" else [command]
        with pytest.raises(SystemExit):
            program.main([*line, "--help"])
        told = capsys.readouterr().out
        assert all(flag in told for flag in flags), command


def test_contexts_come_from_the_kubeconfig(tmp_path, monkeypatch, capsys):
    path = tmp_path / "config"
    path.write_text("{contexts: [{name: lab, context: {}}, {name: live, context: {}}]}")
    monkeypatch.setenv("KUBECONFIG", str(path))
    completion.main(["status", "--context", "l"])
    assert capsys.readouterr().out == "lab\nlive\n:4\n"


@pytest.mark.parametrize("shell", arguments.SHELLS)
def test_each_shell_has_a_script_that_it_can_read(shell, capsys):
    assert program.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "kubectl_complete-l2lb" in script
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([found, "-n"], input=script, text=True, check=True)
