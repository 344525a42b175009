"""What holds for every suite."""

import gc
from pathlib import Path

import pytest

from .support.profiles import register_profiles

register_profiles()

TESTS = Path(__file__).parent

ORDER = {"unit": -2, "storage": -1, "rpc": 1, "gateway": 2}
"""Folders with the longest files are first, those with the shortest last; all others are 0."""

# What is imported and collected stays to the end: to look for garbage in it only takes time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage, of what is made after this."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that no process is left with one when the others have ended."""
    items.sort(key=lambda item: ORDER.get(item.path.relative_to(TESTS).parts[0], 0))
