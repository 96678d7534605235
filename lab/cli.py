# SPDX-License-Identifier: MIT
"""The command line: ``python -m lab``."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import control, errors, machines, preflight, programs, progress, sandbox

DESCRIPTION = """\
A real Kubernetes on this machine in seconds: etcd, API server, controller manager,
scheduler and kube-proxy are real, nodes are network namespaces on a bridge. No root,
no container, no virtual machine, and nothing is left behind when it ends.

outside a lab:
  python -m lab run -- kubectl get nodes     run one command in a lab of its own
  python -m lab shell                        look around in one
inside a lab:
  ip netns exec client curl http://...       be a machine: client, node-1, node-2, ...
  ip link set port-node-1 nomaster           pull its cable out of the switch
  ip link set port-node-1 master switch      and put it back
  python -m lab node kill node-1             take its power
"""

ACTIONS = ("stop", "start", "kill", "pause", "continue")

RUN = """\
COMMAND finds KUBECONFIG (an administrator's), kubectl and helm on its PATH, and in
LAB_DIR the folder 'logs' with a file a process. The exit status is COMMAND's.
"""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except errors.LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m lab", description=DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(required=True, metavar="WHAT")

    run = commands.add_parser(
        "run", help="run a command in a new lab", description=RUN, formatter_class=raw
    )
    _add_lab_options(run)
    run.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, after --")
    run.set_defaults(act=_run)

    shell = commands.add_parser("shell", help="get a prompt in a new lab")
    _add_lab_options(shell)
    shell.set_defaults(act=_run, command=[os.environ.get("SHELL") or "/bin/sh"])

    build = commands.add_parser("build", help="build the Kubernetes programs, if not done yet")
    build.set_defaults(act=_build)

    node = commands.add_parser("node", help="inside: stop, start, kill or add a node")
    actions = node.add_subparsers(required=True, metavar="ACTION")
    for action, text in {
        "stop": "shut it down in good order",
        "start": "power it on again",
        "kill": "take its power: cables and processes are gone at once",
    }.items():
        parsed = actions.add_parser(action, help=text)
        parsed.add_argument("name", metavar="NODE")
        parsed.set_defaults(act=lambda o, a=action: _ask("node", a, o.name))
    actions.add_parser("add", help="add the next node").set_defaults(
        act=lambda _: _ask("node", "add")
    )

    apiserver = commands.add_parser("apiserver", help="inside: stop or start the API server")
    apiserver.add_argument("action", choices=["stop", "start"])
    apiserver.set_defaults(act=lambda o: _ask("apiserver", o.action))

    process = commands.add_parser(
        "process",
        help="inside: stop, start, kill, pause or continue one program",
        description=(
            "NAME is a program such as etcd or kube-proxy-node-1, a node's container of ours such "
            "as speaker-node-1, or all nodes' such as webhook. A container that was stopped or "
            "killed stays so until it is started; its Pod is told nothing."
        ),
    )
    process.add_argument("action", choices=ACTIONS)
    process.add_argument("name", metavar="NAME")
    process.set_defaults(act=lambda o: _ask("process", o.action, o.name))

    speaker = commands.add_parser(
        "speaker", help="inside: the same for a node's speaker, 'process ACTION speaker-NODE'"
    )
    speaker.add_argument("action", choices=ACTIONS)
    speaker.add_argument("name", metavar="NODE")
    speaker.set_defaults(act=lambda o: _ask("process", o.action, f"speaker-{o.name}"))

    machine = commands.add_parser("machine", help="inside: add a machine that is no node")
    machine.add_argument("action", choices=["add"])
    machine.add_argument("name", metavar="NAME")
    machine.set_defaults(act=lambda o: _ask("machine", o.action, o.name))

    logs = commands.add_parser("logs", help="inside: print a process's log, or list them")
    logs.add_argument("name", nargs="?", metavar="NAME")
    logs.set_defaults(act=_logs)
    return parser


def _add_lab_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nodes",
        type=int,
        default=5,
        metavar="N",
        help=f"how many nodes, 1 to {machines.MOST_NODES} (default: %(default)s)",
    )
    parser.add_argument(
        "--values", type=Path, metavar="FILE", help="chart values to install the product with"
    )
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a single chart value, such as speaker.probe=off; can be given again",
    )
    parser.add_argument(
        "--no-product",
        dest="product",
        action="store_false",
        help="leave the product out, to run another program in its place",
    )
    parser.add_argument(
        "--metacontroller",
        metavar="PATH",
        help="run this real Metacontroller (default: $METACONTROLLER, else the lab's stand-in)",
    )
    parser.add_argument(
        "--emulated-version",
        metavar="1.N",
        help="let the control plane behave as this older Kubernetes, such as 1.34",
    )
    parser.add_argument(
        "--logs", type=Path, metavar="FOLDER", help="write the logs there, to be read afterwards"
    )


def _run(options: argparse.Namespace) -> int:
    machines.node(options.nodes)
    values = _values(options.values)
    preflight.extend_path()
    ready = programs.ready_folder()
    preflight.check(build=ready is None)
    binary = _metacontroller(options)
    name = preflight.metacontroller(binary) if options.product else "none, as no product runs"
    return sandbox.run(
        sandbox.Settings(
            command=tuple(options.command),
            programs=str(ready or programs.build(progress.Progress())),
            nodes=options.nodes,
            product=options.product,
            values=values,
            changes=tuple(options.changes),
            metacontroller=binary,
            metacontroller_name=name,
            logs=None if options.logs is None else str(options.logs.resolve()),
            emulated_version=options.emulated_version,
        )
    )


def _values(file: Path | None) -> str | None:
    if file is None:
        return None
    if not file.is_file():
        raise errors.LabError(f"there is no file {file} with chart values")
    return str(file.resolve())


def _metacontroller(options: argparse.Namespace) -> str | None:
    """Return the absolute path of the real one, or None for the stand-in."""
    named = options.metacontroller or os.environ.get("METACONTROLLER")
    return str(Path(named).resolve()) if named and options.product else None


def _build(_: argparse.Namespace) -> int:
    preflight.extend_path()
    folder = programs.ready_folder()
    if folder is None:
        preflight.check(build=True)
        folder = programs.build(progress.Progress())
    print(folder)
    return 0


def _ask(*words: str) -> int:
    print(control.ask(*words))
    return 0


def _logs(options: argparse.Namespace) -> int:
    if not sandbox.LOGS.is_dir():
        raise errors.LabError(
            "this is not the inside of a lab, which has the logs; "
            "for logs that outlive one, give --logs FOLDER when you start it"
        )
    known = {
        str(path.relative_to(sandbox.LOGS).with_suffix("")): path
        for path in sorted(sandbox.LOGS.rglob("*.log"))
    }
    if options.name is None:
        print("\n".join(known))
        return 0
    found = [known[options.name]] if options.name in known else _of_container(options.name, known)
    if not found:
        raise errors.LabError(f"there is no log {options.name!r}; there are: {', '.join(known)}")
    for path in found:
        with path.open(errors="replace") as log:
            for line in log:
                sys.stdout.write(line)
    return 0


def _of_container(name: str, known: Mapping[str, Path]) -> list[Path]:
    """Return the logs of a container as 'process' names it, that of the oldest Pod first.

    Its Pods' logs are ``<node>/<namespace>_<pod>_<container>``.
    """
    container, _, number = name.rpartition("-node-")
    node = f"node-{number}" if container else None
    found = [
        path
        for log, path in known.items()
        if log.count("_") == 2  # noqa: PLR2004 - namespace, Pod and container
        and log.rpartition("_")[2] == (container or name)
        and node in {None, log.partition("/")[0]}
    ]
    return sorted(found, key=lambda path: path.stat().st_mtime)
