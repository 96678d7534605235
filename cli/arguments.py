# SPDX-License-Identifier: MIT
"""The command line of `kubectl l2lb`. Nothing heavy is imported: `--help` is answered at once."""

import argparse
from collections.abc import Callable
from typing import Final

PROGRAM: Final = "kubectl l2lb"
EXIT_CODES: Final = """\
exit codes:
  0    done; with 'check', 'explain' and 'wire': nothing is wrong
  1    something is wrong, as the output says; 'drain': addresses are left on the node
  2    the command line is wrong
  3    what was named is not there
  4    the API server cannot be reached, or does not allow it
  130  interrupted
"""
FORMS: Final = ("wide", "json", "yaml")
SHELLS: Final = ("bash", "zsh", "fish")
COMMANDS: Final = {
    "status": "balancers, nodes, Services and their addresses: who should announce, who does",
    "explain": "why a Service has these addresses, why it waits, and what to do",
    "simulate": "who would hold what if nodes failed, were drained or were added",
    "check": "whether everything that balancers need is in place",
    "wire": "what the speaker of a node believes, or all speakers of an address",
    "drain": "move all addresses off a node, without loss, and wait until they are off",
    "top": "the addresses a node, live",
    "completion": "a script that completes the command line in your shell",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description="See the balancers' addresses, ask why, try out failures, check and drain.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _connection(made)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _connection(command)
        _OPTIONS[name](command)
    made.set_defaults(context=None, namespace=None, all_namespaces=False, output=None)
    return made


def _connection(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--context", default=argparse.SUPPRESS, help="context of the kubeconfig to use"
    )


def _namespace(command: argparse.ArgumentParser) -> None:
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "-n", "--namespace", default=argparse.SUPPRESS, help="only Services of this namespace"
    )
    where.add_argument(
        "-A",
        "--all-namespaces",
        action="store_true",
        default=argparse.SUPPRESS,
        help="Services of all namespaces (the default)",
    )


def _output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        choices=FORMS,
        default=argparse.SUPPRESS,
        help="wide: tables with more columns; json or yaml: for programs",
    )


def _status(command: argparse.ArgumentParser) -> None:
    command.add_argument("balancer", nargs="?", help="only this balancer")
    _namespace(command)
    _output(command)


def _explain(command: argparse.ArgumentParser) -> None:
    kinds = command.add_subparsers(dest="kind", required=True, metavar="service")
    service = kinds.add_parser(
        "service",
        aliases=["svc"],
        help="a Service",
        description="Why a Service has these addresses, why it waits, and what to do.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    service.add_argument("service", metavar="[NAMESPACE/]NAME", help="the Service")
    service.add_argument(
        "-n",
        "--namespace",
        default=argparse.SUPPRESS,
        help="its namespace (default: the context's)",
    )
    _connection(service)
    _output(service)


def _simulate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fail", nargs="+", default=[], metavar="NODE", help="these nodes are dead at once"
    )
    command.add_argument(
        "--drain", nargs="+", default=[], metavar="NODE", help="these nodes are cordoned"
    )
    command.add_argument(
        "--add", type=_positive, default=0, metavar="N", help="so many nodes join each balancer"
    )
    command.add_argument("--balancer", help="only this balancer")
    _output(command)


def _check(command: argparse.ArgumentParser) -> None:
    _output(command)


def _wire(command: argparse.ArgumentParser) -> None:
    command.add_argument("target", metavar="NODE|ADDRESS", help="a node's name, or an address")
    _output(command)


def _drain(command: argparse.ArgumentParser) -> None:
    command.add_argument("node", metavar="NODE", help="the node")
    command.add_argument(
        "--undo", action="store_true", help="give the node back what was taken from it"
    )
    command.add_argument(
        "--by",
        choices=("cordon", "label"),
        default="cordon",
        help="cordon: other nodes stand in and the lists stay (default); label: the node is no "
        "longer a member, and the lists are written anew without it",
    )
    command.add_argument(
        "--timeout", type=_positive, default=60, metavar="SECONDS", help="wait so long (60)"
    )
    _output(command)


def _top(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--every", type=_positive, default=2, metavar="SECONDS", help="look so often (2)"
    )
    command.add_argument("--looks", type=_positive, metavar="N", help="end after so many looks")


def _completion(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=SHELLS)


_OPTIONS: Final[dict[str, Callable[[argparse.ArgumentParser], None]]] = {
    "status": _status,
    "explain": _explain,
    "simulate": _simulate,
    "check": _check,
    "wire": _wire,
    "drain": _drain,
    "top": _top,
    "completion": _completion,
}


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 100_000):  # noqa: PLR2004 - a typo
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
