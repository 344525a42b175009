"""Zimun from a wheel, in an environment that has nothing else: `pip wheel .`, `zimun up --demo`."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.processes import BIN
from ..support.program import NOW, Zimun, closed_after

ROOT = Path(__file__).parents[2]
SOURCE = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "protos", "server", "gateway")
GENERATED = ("v1", "__pycache__", "*.egg-info")


def execute(*command: str | Path, directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def copy_source(target: Path) -> None:
    """Copies what a wheel is built from, without what a build generates."""
    target.mkdir()
    for name in SOURCE:
        source = ROOT / name
        if source.is_dir():
            ignored = GENERATED if name != "protos" else ()
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*ignored))
        else:
            shutil.copy(source, target)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source."""
    source = tmp_path_factory.mktemp("wheel") / "source"
    copy_source(source)
    execute(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", ".",
        directory=source,
    )  # fmt: skip
    (built,) = source.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and the pinned packages that running it needs."""
    created = tmp_path_factory.mktemp("environment") / "venv"
    uv = BIN / "uv"
    install: list[str | Path] = [uv, "pip", "install", "--python", created]
    extras = ["--extra", "server", "--extra", "gateway"]
    pins = ["--require-hashes", "--constraints", "constraints.txt"]
    execute(uv, "venv", "--python", sys.executable, created, directory=ROOT)
    execute(*install, *pins, "--requirements", "pyproject.toml", *extras, directory=ROOT)
    execute(*install, "--no-deps", wheel, directory=ROOT)
    return created


@pytest.fixture
def zimun(environment: Path, tmp_path: Path) -> Iterator[Zimun]:
    """`zimun up --demo` of the wheel, not started."""
    with closed_after(Zimun(tmp_path / "data", NOW, PYTHONPATH="")) as installed:
        installed.program = str(environment / "bin" / "zimun")
        yield installed


def test_demo_of_an_installed_wheel_books_an_appointment(zimun: Zimun) -> None:
    zimun.start()
    assert zimun.book("2026-02-20T10:00:00Z")["state"] == "CONFIRMED"
    zimun.stop()


def test_installed_wheel_has_the_types_of_the_contract(environment: Path) -> None:
    (package,) = environment.glob("lib/python3*/site-packages/zimun")
    assert (package / "py.typed").exists()
    assert (package / "v1" / "appointments_service_pb2.pyi").exists()
