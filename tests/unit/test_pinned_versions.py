"""constraints.txt: exact versions and hashes of all that pyproject.toml requires, no addresses."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PIN = re.compile(
    r"^([\w.-]+)==(\S+)(?: ; .+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)
PINS: dict[str, str] = {
    canonicalize_name(name): version for name, version, _ in PIN.findall(CONSTRAINTS)
}


def name_of(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def requirements() -> list[Requirement]:
    """What the package, its extras and its groups require."""
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
    names = [name for each in lists for name in each if isinstance(name, str)]
    return [Requirement(name) for name in [*names, *PROJECT["build-system"]["requires"]]]


def test_required_packages_are_pinned_within_their_ranges() -> None:
    wrong = [each for each in requirements() if PINS.get(name_of(each), "0") not in each.specifier]
    assert not wrong


def test_constraints_have_nothing_but_pins_with_hashes() -> None:
    assert not re.sub(r"#.*\n", "", PIN.sub("", CONSTRAINTS))


def test_installed_packages_have_their_pinned_versions() -> None:
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    pinned = installed.keys() & PINS.keys()
    assert {name: installed[name] for name in pinned} == {name: PINS[name] for name in pinned}
