# SPDX-License-Identifier: MIT
"""The kubeconfig as kubectl finds it: the files of KUBECONFIG merged, else ~/.kube/config.

lightkube reads one file and prefers a Pod's ServiceAccount; a plugin of kubectl must see what
kubectl sees.
"""

import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml
from lightkube.config import kubeconfig
from lightkube.core import exceptions

DEFAULT: Final = "~/.kube/config"
_SECTIONS: Final = ("clusters", "contexts", "users")
_FILES: Final = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
# What lightkube passes over in silence, by the part that has it, and what to do about it.
_ANOTHER_USER: Final = "nobody is impersonated: name a context whose user may do this itself"
_REFUSED: Final[Mapping[str, Mapping[str, str]]] = {
    "cluster": {
        "proxy-url": "take it away, and name the proxy in HTTPS_PROXY",
        "tls-server-name": "take it away, and let 'server' have a name that the certificate is for",
    },
    "user": {
        "as": _ANOTHER_USER,
        "as-uid": _ANOTHER_USER,
        "as-groups": _ANOTHER_USER,
        "as-user-extra": _ANOTHER_USER,
    },
}
# lightkube knows the older versions of the same protocol only; it reads but status.token.
_EXEC_V1: Final = "client.authentication.k8s.io/v1"
_EXEC_V1BETA1: Final = "client.authentication.k8s.io/v1beta1"


def read(environment: Mapping[str, str], context: str | None) -> kubeconfig.SingleConfig:
    """Return the configuration of a context, None for the current one; else the ServiceAccount's.

    Raises ConfigError, for a field that cannot be followed too, OSError, and ValueError for a file
    that is no kubeconfig.
    """
    named = environment.get("KUBECONFIG", "")
    files = _files(named)
    if files:
        merged = _merged(files)
        found = kubeconfig.KubeConfig.from_dict(merged).get(context)
        if found is not None:
            _refuse_fields(merged["clusters"], "cluster", found.context.cluster)
            _refuse_fields(merged["users"], "user", found.context.user)
    elif named:
        raise exceptions.ConfigError(f"KUBECONFIG is {named!r}, and there is no such file")
    else:
        found = kubeconfig.KubeConfig.from_service_account().get(context)
    if found is None or found.user is None:
        raise exceptions.ConfigError("the kubeconfig names no user for its context")
    return found


def contexts(environment: Mapping[str, str]) -> list[str]:
    """Return the names of all contexts; none where they cannot be read."""
    try:
        merged = _merged(_files(environment.get("KUBECONFIG", "")))
    except (OSError, KeyError, TypeError, ValueError):
        return []
    return [str(context["name"]) for context in merged["contexts"]]


def _files(named: str) -> list[pathlib.Path]:
    paths = [pathlib.Path(part) for part in named.split(os.pathsep) if part]
    return [path for path in paths or [pathlib.Path(DEFAULT).expanduser()] if path.is_file()]


def _merged(files: list[pathlib.Path]) -> dict[str, Any]:
    """Merge as kubectl does: of each name the first wins, and the first current-context."""
    merged: dict[str, Any] = {section: {} for section in _SECTIONS}
    for path in files:
        content = _content(path)
        if not merged.get("current-context"):
            merged["current-context"] = content.get("current-context")
        for section in _SECTIONS:
            for entry in content.get(section) or ():
                merged[section].setdefault(entry["name"], _settled(entry, path.parent))
    return {
        key: list(value.values()) if key in _SECTIONS else value for key, value in merged.items()
    }


def _content(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no kubeconfig")  # noqa: TRY004 - of a file, not of Python
    return content


def _refuse_fields(entries: Iterable[Mapping[str, Any]], part: str, name: str | None) -> None:
    for entry in entries:
        for field, remedy in _REFUSED[part].items():
            if entry["name"] == name and entry[part].get(field):
                raise exceptions.ConfigError(
                    f"'{field}' of the kubeconfig's {part} {name!r} is not followed here: {remedy}"
                )


def _settled(entry: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Return an entry whose files are found from anywhere."""
    settled = dict(entry)
    for part in ("cluster", "user"):
        fields = settled.get(part)
        if not isinstance(fields, dict):
            continue
        fields = dict(fields)
        for name in _FILES:
            if fields.get(name):
                fields[name] = str((folder / fields[name]).resolve())
        if isinstance(fields.get("exec"), dict):
            fields["exec"] = _settled_program(fields["exec"], folder)
        settled[part] = fields
    return settled


def _settled_program(program: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Return an exec plug-in that is found from anywhere, by the version that lightkube knows."""
    settled = dict(program)
    if settled.get("apiVersion") == _EXEC_V1:
        settled["apiVersion"] = _EXEC_V1BETA1
    command = settled.get("command")
    if isinstance(command, str) and os.sep in command:  # else it is looked up on the PATH
        settled["command"] = str((folder / command).absolute())  # a link's own name may matter
    return settled
