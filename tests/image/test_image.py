# SPDX-License-Identifier: MIT
"""The images' contents, made by the Dockerfile's scripts where there is no Docker.

They install the pinned packages, so a package index is needed, as for the checkout's own: they are
apart from `make unit`, which needs none.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent import futures
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "image"
HOOKS = CHECKOUT / "examples" / "hooks"
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", "")
ROLES = ("webhook", "speaker")
SBOM = "sbom.cdx.json"
OURS = "l2-load-balancer"
INSTALLED = """
import importlib.metadata, json
print(json.dumps({d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}))
"""


def run(*argv: str | Path, path: Path | None = None, cwd: Path = CHECKOUT) -> str:
    # Nothing of the environment that the tests run in, but for where packages come from.
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.startswith(("PIP_", "SSL_", "REQUESTS_", "HOME")) or key.lower().endswith("_proxy")
    }
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


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """What the Dockerfile copies before it installs, and nothing else."""
    made: Path = tmp_path_factory.mktemp("source")
    stage = DOCKERFILE.partition(" AS source\n")[2].partition("\nFROM ")[0]
    for line in re.findall(r"^COPY (.*)$", stage, flags=re.MULTILINE):
        *names, target = line.split()
        for name in names:
            if (CHECKOUT / name).is_dir():
                without = shutil.ignore_patterns("__pycache__")
                shutil.copytree(CHECKOUT / name, made / target, ignore=without)
            else:
                shutil.copy(CHECKOUT / name, made / target)
    return made


def install(source: Path, prefixes: Mapping[str, Path]) -> None:
    """Install what each image has, at once."""
    with futures.ThreadPoolExecutor() as pool:
        started = [
            pool.submit(run, "image/install.sh", role, prefix, cwd=source)
            for role, prefix in prefixes.items()
        ]
    for one in started:
        one.result()


@pytest.fixture(scope="module")
def images(source, tmp_path_factory) -> dict[str, Path]:
    """Where the content of each image is."""
    prefixes = {role: tmp_path_factory.mktemp(role) / "l2lb" for role in ROLES}
    install(source, prefixes)
    return prefixes


@pytest.fixture(params=ROLES)
def image(request, images) -> tuple[str, Path]:
    return request.param, images[request.param]


def check(role: str, prefix: Path, hooks: Path = HOOKS) -> None:
    """Check an image as its build does: as root, and in a network where nobody else is."""
    asked = [hooks] if role == "webhook" else []
    alone = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")
    command = 'ip link set lo up && exec "$0" "$@"'
    run(*alone, command, SCRIPTS / "check.sh", role, *asked, path=prefix / "bin")


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


def test_what_an_image_runs_starts_and_answers(image):
    role, prefix = image

    check(role, prefix)


@pytest.mark.parametrize("image", ["webhook"], indirect=True)
def test_an_image_whose_webhook_does_not_answer_as_it_should_is_not_built(image, tmp_path):
    role, prefix = image
    (tmp_path / "balancer-sync.json").write_text("{}")

    with pytest.raises(AssertionError, match="HTTP Error 422"):
        check(role, prefix, tmp_path)


def test_the_label_leads_to_an_sbom_of_what_is_installed(image):
    _, prefix = image
    found = json.loads((prefix / SBOM).read_text())
    listed = {one["name"]: one["version"] for one in found["components"]}

    assert f"io.l2lb.sbom=/opt/l2lb/{SBOM} " in DOCKERFILE
    assert listed == installed(prefix)
    assert {one["purl"] for one in found["components"]} == {
        f"pkg:pypi/{name}@{version}" for name, version in listed.items()
    }


def test_an_image_holds_the_pinned_packages_and_our_own_and_nothing_else(image):
    role, prefix = image
    found = installed(prefix)

    assert found.pop(OURS)
    assert found.items() <= pinned(role).items()


def test_an_image_knows_its_version(image):
    _, prefix = image
    project = (CHECKOUT / "pyproject.toml").read_text()

    assert f'version = "{installed(prefix)[OURS]}"' in project


def test_the_same_sources_make_the_same_image(images, source):
    first = {role: contents(prefix) for role, prefix in images.items()}
    for prefix in images.values():
        shutil.rmtree(prefix)

    install(source, images)

    assert {role: contents(prefix) for role, prefix in images.items()} == first


def test_what_installs_is_taken_out_of_a_python(tmp_path):
    run(sys.executable, "-m", "venv", tmp_path)
    python = tmp_path / "bin" / "python"

    run(SCRIPTS / "strip.sh", python)

    left = subprocess.run([python, "-m", "pip"], capture_output=True, text=True, check=False)
    assert "No module named pip" in left.stderr


@pytest.mark.parametrize("role", ROLES)
def test_the_dockerfile_runs_these_scripts_and_nothing_else(role):
    steps = [line for line in DOCKERFILE.splitlines() if line.startswith("RUN ")]
    scripts = "|".join(script.name for script in SCRIPTS.glob("*.sh"))

    assert f"RUN image/install.sh {role} /opt/l2lb" in steps
    assert all(re.search(rf"/?image/({scripts})( [a-z0-9/]+)*$", step) for step in steps)
