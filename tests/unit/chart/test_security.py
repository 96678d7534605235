# SPDX-License-Identifier: MIT
import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
DOCUMENT = CHECKOUT / "docs" / "security.md"


def test_every_test_that_the_threat_model_names_exists():
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", DOCUMENT.read_text()))
    defined = {
        name
        for path in (CHECKOUT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), flags=re.MULTILINE)
    }

    assert len(named) > 15
    assert named <= defined
