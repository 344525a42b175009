"""docs/tour.md: every file and every name that it links to exists."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour.md"


def test_names_linked_by_the_tour_are_defined_in_their_files() -> None:
    assert runpy.run_path(str(ROOT / "docs" / "update_links.py"))["updated"](TOUR)


def test_files_linked_by_the_tour_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)", TOUR.read_text())
    assert len(links) > 30
    assert [link for link in links if not (TOUR.parent / link).exists()] == []
