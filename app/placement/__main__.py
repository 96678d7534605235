# SPDX-License-Identifier: MIT
"""The command line: `python -m app.placement simulate`."""

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterable, Sequence

from app.placement import simulate
from contract.errors import ContractError
from contract.pool import Pool

EXAMPLE = """\
python -m app.placement simulate --nodes 5 --services 20 --count 3 \\
    --do 'fail n2' --do 'return n2' --do 'join n6' --do 'leave n1' --do 'delete s7'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        pool = Pool.parse(options.pool) if options.pool else simulate.POOL
        simulation = simulate.Simulation(pool, pairs=not options.no_pairs)
        rows = simulate.run(_script(options), simulation)
    except (simulate.ScriptError, ContractError, OSError) as error:
        sys.stderr.write(f"simulate: {error}\n")
        return 1
    answer = {"rows": [dataclasses.asdict(row) for row in rows], "loads": simulation.held}
    if options.json is not None:
        text = json.dumps(answer, indent=2) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
            return 0
        pathlib.Path(options.json).write_text(text)
    loads = ", ".join(f"{node}: {load}" for node, load in simulation.held.items())
    sys.stdout.write(f"{simulate.table(rows)}\n\naddresses held: {loads}\n")
    return 0


def _script(options: argparse.Namespace) -> Iterable[str]:
    if options.nodes:
        yield "join " + " ".join(f"n{number}" for number in range(1, options.nodes + 1))
    yield from (f"add s{number} {options.count}" for number in range(1, options.services + 1))
    if options.script is not None:
        with options.script as script:
            yield from script
    yield from options.do


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.placement", description="Try out where addresses would be."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "simulate",
        help="play a script of joins, leaves and failures",
        description="Play a script of joins, leaves and failures, and tell what each event does.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"events:\n{simulate.EVENTS}\nexample:\n{EXAMPLE}",
    )
    command.add_argument("--nodes", type=int, default=0, help="start with members n1, n2, ...")
    command.add_argument("--services", type=int, default=0, help="and Services s1, s2, ...")
    command.add_argument(
        "--count", default="auto", help="of so many addresses a family (default: auto)"
    )
    command.add_argument("--pool", action="append", help="CIDR, range or address (repeatable)")
    command.add_argument("--script", type=argparse.FileType(), help="events, one a line; - reads")
    command.add_argument("--do", action="append", default=[], metavar="EVENT", help="and these")
    command.add_argument("--no-pairs", action="store_true", help="spare pairs of failures")
    command.add_argument("--json", metavar="FILE", help="write JSON; - instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
