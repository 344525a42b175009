"""The judge and changes of the catalogue: one event each, which the catalogue follows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from .books import Books, assert_finds
from .history import REFUSED


def catalog_change_lost(books: Books) -> None:
    books.rename("r_one")
    books.tables["events"].pop()


def catalog_change_twice(books: Books) -> None:
    books.rename("r_one")
    books.tables["events"].append(books.tables["events"][-1])


def catalog_change_refused_and_done(books: Books) -> None:
    books.rename("r_one")
    books.history[-1] = replace(books.history[-1], outcome=REFUSED, reason="INTERNAL")


def catalog_unlike_its_events(books: Books) -> None:
    books.rename("r_one")
    books.tables["resources"][0]["name"] = "another"


def catalog_revision_left_out(books: Books) -> None:
    books.rename("r_one")
    books.tables["resources"][0]["revision"] += 1
    books.rename("r_one")


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (catalog_change_lost, "it has 0 events"),
        (catalog_change_twice, "it has 2 events"),
        (catalog_change_refused_and_done, "it was refused, and has an event"),
        (catalog_unlike_its_events, "the last event of o_north r_one says"),
        (catalog_revision_left_out, "o_north r_one: revision 3 after"),
    ],
)
def test_judge_finds_the_planted_fault(
    books: Books, plant: Callable[[Books], None], says: str
) -> None:
    plant(books)
    assert_finds(books, says)


def test_changes_of_the_catalogue_are_accepted(books: Books) -> None:
    books.rename("r_one")
    books.rename("r_two")
    books.rename("r_one")
    assert books.judge() == []
