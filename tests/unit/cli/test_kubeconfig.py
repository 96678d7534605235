# SPDX-License-Identifier: MIT
import json
import os
import pathlib

import pytest
from lightkube.core import exceptions

from cli import cluster, completion, errors, kubeconfig


def config(name: str, *, current: bool = True, user=None, **more) -> dict:
    return {
        "current-context": name if current else "",
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}.test"}}],
        "users": [{"name": name, "user": user or {"token": f"token-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **more}}],
    }


@pytest.fixture
def environment(tmp_path):
    """Return the environment for kubeconfigs of these contents."""

    def write(*contents: dict) -> dict[str, str]:
        paths = []
        for number, content in enumerate(contents):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "config").write_text(json.dumps(content))
            paths.append(str(folder / "config"))
        return {"KUBECONFIG": os.pathsep.join(paths)}

    return write


def test_the_current_context_is_used(environment):
    found = kubeconfig.read(environment(config("lab", namespace="shop")), None)
    assert found.cluster.server == "https://lab.test"
    assert found.namespace == "shop"


def test_files_are_merged_as_kubectl_merges_them(environment):
    given = environment(config("one", current=False), config("two"), config("three"))
    assert kubeconfig.read(given, None).cluster.server == "https://two.test"
    assert kubeconfig.read(given, "three").cluster.server == "https://three.test"
    assert kubeconfig.contexts(given) == ["one", "two", "three"]


def test_of_each_name_the_first_wins(environment):
    second = config("lab")
    second["clusters"][0]["cluster"]["server"] = "https://other.test"
    given = environment(config("lab"), second)
    assert kubeconfig.read(given, None).cluster.server == "https://lab.test"


def test_files_beside_a_kubeconfig_are_found_from_anywhere(environment, tmp_path):
    user = {"client-certificate": "me.crt", "client-key": "/etc/me.key"}
    given = environment(config("other"), config("lab", user=user))
    found = kubeconfig.read(given, "lab").user
    assert found is not None
    assert found.client_cert == str(tmp_path / "1" / "me.crt")
    assert found.client_key == "/etc/me.key"


def test_a_program_that_speaks_the_newer_protocol_is_asked_too(environment):
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}
    found = kubeconfig.read(environment(config("lab", user={"exec": program})), None).user
    assert found is not None
    assert found.exec is not None
    assert found.exec.apiVersion == "client.authentication.k8s.io/v1beta1"


def plug(folder: pathlib.Path, prints: str) -> None:
    """Put an exec plug-in there that prints a text."""
    program = folder / "plug"
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
    program.chmod(0o755)


def asked(command: str) -> dict:
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": command}
    return config("lab", user={"exec": program})


@pytest.mark.parametrize("given_as", ["absolute", "relative"])
def test_a_program_beside_a_kubeconfig_is_found_from_anywhere(
    environment, tmp_path, monkeypatch, given_as
):
    given = environment(asked("./bin/plug"))
    plug(tmp_path / "0" / "bin", "")
    plug(tmp_path / "elsewhere" / "bin", "")
    if given_as == "relative":
        monkeypatch.chdir(tmp_path / "0")
        given = {"KUBECONFIG": "config"}
    found = kubeconfig.read(given, None).user
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found is not None
    assert found.exec is not None
    assert found.exec.command == str(tmp_path / "0" / "bin" / "plug")


def test_a_program_without_a_folder_is_looked_up_on_the_path(environment):
    found = kubeconfig.read(environment(asked("plug")), None).user
    assert found is not None
    assert found.exec is not None
    assert found.exec.command == "plug"


@pytest.mark.parametrize(
    "prints",
    [
        '{"status": {"clientCertificateData": "x", "clientKeyData": "y"}}',
        '{"status": null}',
        "please log in first",
    ],
)
def test_a_program_that_gives_no_token_is_an_error_with_the_remedy(
    environment, tmp_path, monkeypatch, capsys, prints
):
    given = environment(asked(str(tmp_path / "plug")))
    plug(tmp_path, prints)
    with pytest.raises(errors.ClusterError, match="has to print a token"):
        cluster.connect(given).list(cluster.NODES)
    monkeypatch.setenv("KUBECONFIG", given["KUBECONFIG"])
    assert completion.main(["drain", ""]) == 0
    assert capsys.readouterr() == (":4\n", "")


@pytest.mark.parametrize(
    ("part", "field", "value", "remedy"),
    [
        ("cluster", "proxy-url", "http://proxy.test:3128", "HTTPS_PROXY"),
        ("cluster", "tls-server-name", "api.test", "certificate"),
        ("user", "as", "admin", "nobody is impersonated"),
        ("user", "as-uid", "7", "nobody is impersonated"),
        ("user", "as-groups", ["ops"], "nobody is impersonated"),
        ("user", "as-user-extra", {"a": ["b"]}, "nobody is impersonated"),
    ],
)
def test_what_would_be_passed_over_is_refused_where_it_is_used(
    environment, part, field, value, remedy
):
    second = config("lab")
    second[f"{part}s"][0][part][field] = value
    given = environment(config("other"), second)
    with pytest.raises(errors.ClusterError, match=remedy) as caught:
        cluster.connect(given, context="lab")
    assert f"'{field}' of the kubeconfig's {part} 'lab'" in str(caught.value)
    assert cluster.connect(given).namespace == "default"


def test_files_that_are_not_there_are_skipped_while_one_is(environment):
    given = environment(config("lab"))
    given["KUBECONFIG"] = f"/nowhere/config{os.pathsep}{given['KUBECONFIG']}"
    assert kubeconfig.read(given, None).cluster.server == "https://lab.test"


@pytest.mark.parametrize(
    ("content", "context", "word"),
    [
        (config("lab"), "live", "live"),
        ({"contexts": "x"}, None, "no way to reach the API server"),
        ({}, None, "no way to reach the API server"),
        (config("lab") | {"users": []}, None, "no way to reach the API server"),
        (
            config("lab") | {"clusters": [{"name": "lab", "cluster": {"server": "http://[::"}}]},
            None,
            "Invalid port",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_with_the_remedy(environment, content, context, word):
    with pytest.raises(errors.ClusterError, match="kubectl config get-contexts") as caught:
        cluster.connect(environment(content), context=context)
    assert word in str(caught.value)


def test_text_that_is_no_yaml_is_named(tmp_path):
    path = tmp_path / "config"
    path.write_text("a: [")
    with pytest.raises(errors.ClusterError, match="is no YAML"):
        cluster.connect({"KUBECONFIG": str(path)})


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(exceptions.ConfigError, match="/nowhere/config"):
        kubeconfig.read({"KUBECONFIG": "/nowhere/config"}, None)


def test_a_connection_says_who_it_is(environment):
    connected = cluster.connect(environment(config("lab", namespace="shop")))
    assert connected.namespace == "shop"
    assert connected._client.headers["User-Agent"] == "kubectl-l2lb"
