#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts what an image runs, to see that nothing is missing: check.sh webhook HOOKS | check.sh speaker, with its python
# on PATH. HOOKS is examples/hooks, whose requests the webhook is to answer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd /
case $1 in
webhook)
  python "$here/ask.py" webhook "$2/balancer-sync.json"
  python -m app.upkeep --help >/dev/null
  # Makes the webhook's certificate; the base image has it, as its certificates of authorities need it.
  openssl version >/dev/null
  ;;
speaker)
  python "$here/ask.py" speaker
  ;;
*)
  echo "check.sh: $1 is no image: write webhook or speaker" >&2
  exit 2
  ;;
esac
if python -m pip --version >/dev/null 2>&1; then
  echo "check.sh: pip is still there" >&2
  exit 1
fi
