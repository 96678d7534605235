#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes out of a Python installation what only installs: strip.sh PYTHON.
set -eu
"$1" -m pip uninstall --quiet --yes --root-user-action ignore setuptools wheel pip
# A virtual environment borrows its standard library, which is not its own to change.
if "$1" -c 'import sys; sys.exit(sys.prefix != sys.base_prefix)'; then
  rm -rf "$("$1" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/ensurepip"
fi
