# SPDX-License-Identifier: MIT
"""The speaker is GPL-2.0-only as a whole, because of scapy: nothing in it may be incompatible."""

import importlib.metadata
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)==", re.MULTILINE)


def speaker_distributions() -> list[str]:
    text = (ROOT / "requirements" / "speaker.txt").read_text()
    installed = {d.name.lower().replace("_", "-") for d in importlib.metadata.distributions()}
    # What is pinned for other platforms only is not installed here and not in the image either.
    return [name for name in REQUIREMENT.findall(text) if name.lower() in installed]


def licence_of(distribution: str) -> str:
    metadata = importlib.metadata.metadata(distribution)
    for field in ("License-Expression", "License", "Classifier"):
        said = [text for text in metadata.get_all(field, []) if _speaks_of_a_licence(field, text)]
        if said:
            return " AND ".join(said)
    return ""


def _speaks_of_a_licence(field: str, text: str) -> bool:
    return bool(text) and (field != "Classifier" or text.startswith("License ::"))


def is_apache_only(licence: str) -> bool:
    alternatives = re.split(r"\s+OR\s+|\s*;\s*", licence)
    return all("apache" in alternative.lower() for alternative in alternatives)


def test_the_speaker_pulls_in_what_it_is_built_on():
    assert {"scapy", "lightkube"} <= set(speaker_distributions())


@pytest.mark.parametrize("distribution", speaker_distributions())
def test_nothing_in_the_speakers_process_is_apache_only(distribution):
    licence = licence_of(distribution)
    assert licence, f"{distribution} states no licence: read its LICENSE file and pin the answer"
    assert not is_apache_only(licence), f"{distribution} is {licence}: incompatible with scapy"


def test_apache_only_is_told_from_a_choice():
    assert is_apache_only("Apache-2.0")
    assert is_apache_only("Apache Software License")
    assert not is_apache_only("GPL-2.0-or-later OR Apache-2.0")
    assert not is_apache_only("MIT")


def test_each_file_of_ours_says_its_licence():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    sources = [ROOT / name for name in listed if name.endswith((".py", ".go", ".sh"))]
    assert sources
    silent = [
        str(path.relative_to(ROOT))
        for path in sources
        if path.exists() and "SPDX-License-Identifier: MIT" not in path.read_text()[:200]
    ]
    assert not silent
