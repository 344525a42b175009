"""Faults of a text: which of them are told, against the plain definition."""

import re

from hypothesis import given
from hypothesis import strategies as st

from zimun.catalog_file.yaml_document import Document

STEPS = st.sampled_from((".id", ".name", "[0]", "[1]"))
PATHS = st.lists(STEPS, max_size=3).map(lambda steps: "".join(("services", *steps)))


def overlap(path: str, other: str) -> bool:
    """Whether two paths are the same, or one is inside the other."""
    outer, inner = sorted((path, other), key=len)
    return outer in ("", inner) or inner.startswith((f"{outer}.", f"{outer}["))


@given(st.lists(st.tuples(st.booleans(), PATHS | st.just("")), max_size=8), PATHS)
def test_fault_inside_or_around_another_is_not_told_again(
    found: list[tuple[bool, str]], place: str
) -> None:
    document, told = Document(), list[str]()
    for always, path in found:
        if always:
            document.fault(path, "is wrong")
        else:
            document.follow_up(path, "is wrong, too")
        if always or not any(overlap(path, other) for other in told):
            told.append(path)
        document = document.copy()
    inner = [path.removeprefix(f"{place}.") for path in told if path.startswith(f"{place}.")]
    assert [fault.path for fault in document.faults] == told
    assert document.faulty(place) == {re.split(r"[.\[]", path)[0] for path in inner}
