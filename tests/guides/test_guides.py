"""Every code block of docs/guides is run, and its answer is what the guide shows."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.answers import differences
from ..support.processes import environment
from ..support.program import NOW, Zimun, closed_after

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDE = BLOCK.findall((GUIDES / "quick-start.md").read_text())[0][1]


@pytest.fixture(scope="module")
def zimun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zimun]:
    """The demo of the guides, with its data where they look for it."""
    data_dir = tmp_path_factory.mktemp("guides") / ".zimun"
    with closed_after(Zimun(data_dir, NOW)) as started:
        yield started.start()
        started.stop()


def steps(guide: Path) -> list[tuple[str, Any]]:
    """The shell blocks of a guide, each with the answer that is shown after it."""
    found: list[tuple[str, Any]] = []
    for language, text in BLOCK.findall(guide.read_text()):
        if language == "sh":
            found.append((text, None))
        else:
            found[-1] = (found[-1][0], json.loads(text))
    return found


@pytest.mark.parametrize("guide", sorted(GUIDES.glob("*.md")), ids=lambda guide: guide.stem)
def test_code_blocks_of_a_guide_do_what_it_says(zimun: Zimun, guide: Path) -> None:
    parts = steps(guide)
    scripts = [PRELUDE, *(f"echo STEP\n{script}" for script, _ in parts if script != PRELUDE)]
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input="\n".join(scripts),
        cwd=zimun.data_dir.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = [answer for script, answer in parts if script != PRELUDE]
    printed = done.stdout.split("STEP\n")[1:]
    assert len(printed) == len(shown)
    for expected, output in zip(shown, printed, strict=True):
        if expected is not None:
            assert list(differences(expected, json.loads(output.strip().splitlines()[-1]))) == []
