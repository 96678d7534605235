# SPDX-License-Identifier: MIT
"""The images' contents, made by the Dockerfile's scripts where there is no Docker.

They install the pinned packages, so a package index is needed: `make image` runs these tests.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "image"
OURS = "l2-load-balancer"
INSTALLED = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}))
"""


def run(*argv: str | Path, path: Path | None = None, cwd: Path = CHECKOUT) -> str:
    # Nothing of the environment that the tests run in, but for where packages come from.
    kept = {key: os.environ[key] for key in os.environ if key.startswith(("PIP_", "SSL_", "HOME"))}
    search = f"{path or Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**kept, "PATH": search},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout


@pytest.fixture(scope="module", params=["webhook", "speaker"])
def image(request, tmp_path_factory) -> tuple[str, Path]:
    prefix = tmp_path_factory.mktemp(request.param) / "l2lb"
    run(SCRIPTS / "install.sh", request.param, prefix)
    return request.param, prefix


def installed(prefix: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(run(prefix / "bin" / "python", "-c", INSTALLED))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


def pinned(role: str) -> dict[str, str]:
    text = (CHECKOUT / "requirements" / f"{role}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, flags=re.MULTILINE))


def contents(prefix: Path) -> dict[str, str]:
    return {
        str(path.relative_to(prefix)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in prefix.rglob("*")
        if path.is_file()
    }


def test_what_an_image_runs_starts(image):
    role, prefix = image

    run(SCRIPTS / "check.sh", role, path=prefix / "bin")


def test_an_image_holds_the_pinned_packages_and_our_own_and_nothing_else(image):
    role, prefix = image
    found = installed(prefix)

    assert found.pop(OURS)
    assert found.items() <= pinned(role).items()


def test_an_image_knows_its_version(image):
    _, prefix = image
    project = (CHECKOUT / "pyproject.toml").read_text()

    assert f'version = "{installed(prefix)[OURS]}"' in project


def test_the_same_sources_make_the_same_image(image):
    role, prefix = image
    first = contents(prefix)
    shutil.rmtree(prefix)

    run(SCRIPTS / "install.sh", role, prefix)

    assert contents(prefix) == first


def test_what_installs_is_taken_out_of_a_python(tmp_path):
    run(sys.executable, "-m", "venv", tmp_path)
    python = tmp_path / "bin" / "python"

    run(SCRIPTS / "strip.sh", python)

    left = subprocess.run([python, "-m", "pip"], capture_output=True, text=True, check=False)
    assert "No module named pip" in left.stderr


@pytest.mark.parametrize("role", ["webhook", "speaker"])
def test_the_dockerfile_runs_these_scripts_and_nothing_else(role):
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    steps = [line for line in lines if line.startswith("RUN ")]
    scripts = "|".join(script.name for script in SCRIPTS.glob("*.sh"))

    assert f"RUN image/install.sh {role} /opt/l2lb" in steps
    assert all(re.search(rf"/?image/({scripts})( [a-z0-9/]+)*$", step) for step in steps)
