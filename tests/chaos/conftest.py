"""A sound history, into which tests of the judge put faults."""

import pytest

from .books import TIMES, Books
from .scenario import SERVICES


@pytest.fixture
def books() -> Books:
    """A cut, a spa treatment and a full class, all confirmed; something released; a refusal; and
    everything read in the end."""
    books = Books()
    for row in (
        books.hold("s_cut", TIMES, "t_ada"),
        books.hold("s_spa", TIMES, "t_ben", "r_one"),
    ):
        books.confirm(row)
    first = books.hold("s_class", TIMES, "t_chloe", "r_three", seats=3, session_id="x_class")
    books.confirm(first)
    books.confirm(books.hold("s_class", TIMES, "t_chloe", "r_three", seats=1, session_id="x_class"))
    books.release(books.hold("s_kiosk", TIMES))
    books.refuse("HoldAppointment", {"service_id": "s_class", "start": TIMES}, "SLOT_UNAVAILABLE")
    for service_id in SERVICES:
        books.offer(service_id)
    books.agenda()
    books.agenda(service_id="s_class")
    books.get(first)
    return books
