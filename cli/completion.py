# SPDX-License-Identifier: MIT
"""What can follow on the command line.

`kubectl_complete-l2lb` is how kubectl asks (KEP-2379): the words so far as arguments, the last of
them begun or empty; a suggestion a line and, in the last line, a colon and a number that tells the
shell what else it may do (4: do not suggest files).
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from cli import arguments

_NO_FILES: Final = ":4"
_FLAGS: Final = {
    "status": ("--namespace", "--all-namespaces", "--output"),
    "explain": ("--namespace", "--output"),
    "simulate": ("--fail", "--drain", "--add", "--balancer", "--output"),
    "check": ("--output",),
    "wire": ("--output",),
    "drain": ("--undo", "--by", "--timeout", "--output"),
    "top": ("--every", "--looks"),
    "completion": (),
}
_NODES_AFTER: Final = {"--fail", "--drain"}
_FIXED_AFTER: Final = {
    "-o": arguments.FORMS,
    "--output": arguments.FORMS,
    "--by": ("cordon", "label"),
}
_NOTHING_AFTER: Final = {"--add", "--timeout", "--every", "--looks"}


def main(argv: Sequence[str] | None = None) -> int:
    """Write what can follow; in doubt nothing, as a shell shows no errors here."""
    words = list(sys.argv[1:] if argv is None else argv)
    begun = words.pop() if words else ""
    for word in sorted({word for word in suggestions(words, begun) if word.startswith(begun)}):
        sys.stdout.write(f"{word}\n")
    sys.stdout.write(f"{_NO_FILES}\n")
    return 0


def suggestions(words: Sequence[str], begun: str) -> Iterable[str]:
    """Return what can follow these words; `begun` decides whether flags are meant."""
    command = next((word for word in words if word in arguments.COMMANDS), None)
    last = words[-1] if words else ""
    if last == "--context":
        return _contexts()
    if command is None:
        return arguments.COMMANDS
    if last in _FIXED_AFTER:
        return _FIXED_AFTER[last]
    if last in _NOTHING_AFTER:
        return ()
    if begun.startswith("-"):
        return (*_FLAGS[command], "--context", "--help")
    if last in {"-n", "--namespace"}:
        return _names("namespaces")
    if last == "--balancer" or command == "status":
        return _names("balancers")
    return _positional(command, words)


def _positional(command: str, words: Sequence[str]) -> Iterable[str]:
    rest = words[words.index(command) + 1 :]
    if command == "completion":
        return arguments.SHELLS
    if command == "explain":
        return _names("services") if {"service", "svc"} & set(rest) else ("service",)
    if command == "simulate":
        flags = [word for word in rest if word.startswith("-")]
        if flags and flags[-1] in _NODES_AFTER:
            return set(_names("nodes")) - set(rest)
        return ()
    if command == "drain":
        return _names("nodes")
    if command == "wire":
        return (*_names("nodes"), *_names("addresses"))
    return ()


def _names(kind: str) -> Iterable[str]:
    """Return names from the cluster; none when it does not answer, or not at once."""
    from cli import cluster, errors, gather  # noqa: PLC0415 - flags and commands need no cluster

    try:
        server = cluster.connect(os.environ, context=None, timeout_s=2.0)
        match kind:
            case "nodes":
                return [node["metadata"]["name"] for node in server.list(cluster.NODES)]
            case "namespaces":
                return [one["metadata"]["name"] for one in server.list(cluster.NAMESPACES)]
            case "balancers":
                return [one["metadata"]["name"] for one in server.list(cluster.BALANCERS)]
            case "services":
                found = gather.look(server)
                return [f"{one.namespace}/{one.name}" for one in found.services]
            case _:
                found = gather.look(server)
                return [str(a.address) for one in found.balancers for a in one.addresses]
    except errors.CliError:
        return ()


def _contexts() -> Iterable[str]:
    from cli import kubeconfig  # noqa: PLC0415 - as above

    return kubeconfig.contexts(os.environ)


_BASH: Final = """\
_kubectl_l2lb() {
    local IFS=$'\\n'
    local words
    words=$(kubectl_complete-l2lb "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:')
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _kubectl_l2lb kubectl-l2lb
"""
_ZSH: Final = """\
#compdef kubectl-l2lb
_kubectl_l2lb() {
    local -a found
    found=("${(@f)$(kubectl_complete-l2lb "${(@)words[2,$CURRENT]}" 2>/dev/null | grep -v '^:')}")
    compadd -a found
}
compdef _kubectl_l2lb kubectl-l2lb
"""
_FISH: Final = """\
function __kubectl_l2lb
    set -l words (commandline -opc) (commandline -ct)
    kubectl_complete-l2lb $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c kubectl-l2lb -f -a '(__kubectl_l2lb)'
"""
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

if __name__ == "__main__":
    sys.exit(main())
