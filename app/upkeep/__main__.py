# SPDX-License-Identifier: MIT
"""`python -m app.upkeep`: what the chart's Jobs run."""

import argparse
import sys
from collections.abc import Sequence

from app import errors
from app.upkeep import certificates, cluster, credentials, uninstall


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return 1 with a sentence when it was not all done."""
    options = _parser().parse_args(arguments)
    try:
        kube = cluster.Cluster.of_pod()
        try:
            done: bool = options.act(kube, options)
        finally:
            kube.close()
    except (errors.SettingsError, cluster.ClusterError, certificates.CertificateError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0 if done else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.upkeep",
        description="What the chart's Jobs do, as the ServiceAccount of their Pod.",
    )
    commands = parser.add_subparsers(required=True, metavar="WHAT")
    make = commands.add_parser("credentials", help="make the Secrets that are absent or due")
    make.add_argument("--namespace", required=True, help="where the Secrets and the webhook are")
    make.add_argument("--heartbeat-secret", default="", help="name; none: not made")
    make.add_argument("--tls-secret", default="", help="name; none: not made")
    make.add_argument("--authority-secret", default="", help="name of what signs --tls-secret")
    make.set_defaults(act=_make)
    clean = commands.add_parser("uninstall", help="take our traces off other people's objects")
    clean.add_argument("--namespace", required=True, help="where the Secrets are")
    clean.add_argument("--controllers", required=True, help="label selector of the controllers")
    clean.add_argument("--secret", action="append", default=[], help="a Secret to delete")
    clean.add_argument("--within", type=float, default=60.0, help="seconds (default: %(default)s)")
    clean.set_defaults(act=_clean)
    return parser


def _make(kube: cluster.Cluster, options: argparse.Namespace) -> bool:
    wanted = credentials.Wanted(
        namespace=options.namespace,
        heartbeat=options.heartbeat_secret,
        certificate=options.tls_secret,
        authority=options.authority_secret,
    )
    for sentence in credentials.ensure(kube, wanted):
        sys.stdout.write(f"{sentence}\n")
    return True


def _clean(kube: cluster.Cluster, options: argparse.Namespace) -> bool:
    done = uninstall.clean_up(
        kube,
        controllers=options.controllers,
        secrets=[credentials.path(options.namespace, name) for name in options.secret],
        within_s=options.within,
    )
    for sentence in done.sentences():
        sys.stdout.write(f"{sentence}\n")
    return not done.remaining


if __name__ == "__main__":
    sys.exit(main())
