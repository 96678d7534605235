#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what one image runs: install.sh webhook|speaker PREFIX, from the checkout that is the current directory.
# PREFIX becomes a virtual environment without pip, with the pinned dependencies and our own wheel.
set -eu
role=$1 prefix=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# The wheel's files have one time, whenever it is built.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1577836800}"

# Run by the pip that is there: pip_in PREFIX ARGUMENTS.
pip_in() {
  environment=$1
  shift
  python -m pip --python "$environment/bin/python" "$@"
}

python -m venv --without-pip "$work/build"
pip_in "$work/build" install --quiet --no-compile --require-hashes -r image/build.txt
pip_in "$work/build" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" .

python -m venv --without-pip "$prefix"
pip_in "$prefix" install --quiet --no-compile --require-hashes --only-binary :all: -r "requirements/$role.txt"
pip_in "$prefix" install --quiet --no-compile --no-deps --no-index --find-links "$work" l2-load-balancer

# What is in the image beside its base; the image's label says where.
"$prefix/bin/python" -I image/sbom.py >"$prefix/sbom.cdx.json"

# Compiled here, as nothing is written where it runs; by hash, so that the time of a file does not matter.
"$prefix/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$prefix/lib"
