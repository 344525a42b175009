"""Removal of the contact of an appointment."""

import pytest

from zimun.domain.ledger.contacts import erased, is_of_contact
from zimun.domain.ledger.reservation import Contact

from .build import appointment

WITH_CONTACT = appointment(
    contact=Contact(
        name="Grace",
        email="Grace@Example.com",
        phone="+49 30 1234",
        notes="Door 2",
        metadata={"crm": "1"},
    ),
    cancel_reason="moved away",
)


@pytest.mark.parametrize("key", ["", "grace@example.com"])
def test_contact_and_reason_are_erased_and_all_else_stays(key: str) -> None:
    assert is_of_contact(WITH_CONTACT, key)
    assert erased(WITH_CONTACT, 7, key) == WITH_CONTACT._replace(
        contact=Contact(), cancel_reason="", update_time=7, revision=WITH_CONTACT.revision + 1
    )


@pytest.mark.parametrize("key", ["ada@example.com", "Grace@Example.com", "grace"])
def test_another_contact_stays_and_the_revision_tells_of_the_erasure(key: str) -> None:
    assert not is_of_contact(WITH_CONTACT, key)
    assert erased(WITH_CONTACT, 7, key) == WITH_CONTACT._replace(
        update_time=7, revision=WITH_CONTACT.revision + 1
    )
