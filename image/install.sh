#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what one image runs: install.sh webhook|speaker PREFIX, from the checkout that is the current directory.
# PREFIX becomes a virtual environment without pip, with the pinned dependencies and our own wheel.
set -eu
role=$1 prefix=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
# The wheel's files have one time, whenever it is built.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1577836800}"

python -m venv "$work/build"
"$work/build/bin/pip" install --quiet --require-hashes -r image/build.txt
"$work/build/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$work" .

python -m venv --without-pip "$prefix"
"$work/build/bin/pip" --python "$prefix/bin/python" install --quiet --require-hashes --only-binary :all: \
  -r "requirements/$role.txt"
"$work/build/bin/pip" --python "$prefix/bin/python" install --quiet --no-deps --no-index \
  --find-links "$work" l2-load-balancer

# Compiled here, as nothing is written where it runs; by hash, so that the time of a file does not matter.
"$prefix/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$prefix/lib"
