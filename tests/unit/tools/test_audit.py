# SPDX-License-Identifier: MIT
import json
import subprocess
from typing import Any

import pytest

from tools import audit

WELL = {"name": "anyio", "version": "4.16.0", "vulns": []}
FAULTY = {
    "name": "h11",
    "version": "0.15.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2"], "fix_versions": ["0.16.0"]}],
}
UNKNOWN = {"name": "scapy", "skip_reason": "Dependency not found"}


def answering(monkeypatch: pytest.MonkeyPatch, stdout: str, stderr: str = "") -> None:
    def run(argv: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert [word for word in argv if word.endswith("requirements/speaker.txt")]
        return subprocess.CompletedProcess(argv, 1, stdout, stderr)

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.parametrize(
    ("dependencies", "status", "said"),
    [
        ([WELL], 0, "1 packages have no known vulnerability"),
        ([WELL, FAULTY], 1, "h11 0.15.0: PYSEC-1, CVE-2; mended in 0.16.0"),
        ([WELL, UNKNOWN], 0, "not audited, as the database does not know them: scapy"),
        ([UNKNOWN], 0, "nothing was audited: the database knew none of scapy"),
    ],
)
def test_faults_fail_and_what_is_unknown_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: list[dict[str, Any]],
    status: int,
    said: str,
) -> None:
    answering(monkeypatch, json.dumps({"dependencies": dependencies}))

    assert audit.main() == status

    assert said in capsys.readouterr().out.splitlines()


def test_without_a_network_nothing_fails_and_nothing_is_called_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, "", "Traceback\nConnectionError: no route\n")

    assert audit.main() == 0

    assert capsys.readouterr().out == (
        "nothing was audited: the advisory database could not be asked: ConnectionError: no route\n"
    )
