# SPDX-License-Identifier: MIT
import sys

from lab import cli

sys.exit(cli.main())
