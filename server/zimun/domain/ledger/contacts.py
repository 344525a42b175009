"""Contacts of appointments, and their removal: pure functions of (reservation, now)."""

from zimun.domain.ledger.reservation import Contact, Reservation, contact_key

PERSONAL_FIELDS = (
    "contact_name",
    "contact_email",
    "contact_phone",
    "notes",
    "metadata",
    "cancel_reason",
)
"""The fields of an appointment that are personal data."""


def is_of_contact(reservation: Reservation, key: str) -> bool:
    """Whether a reservation has the contact of a key; an empty key is that of any contact."""
    return key in ("", contact_key(reservation.contact.email))


def erased(reservation: Reservation, now: int, key: str) -> Reservation:
    """The reservation without a contact, as its next revision; with another contact it keeps
    that."""
    changed = reservation._replace(update_time=now, revision=reservation.revision + 1)
    if not is_of_contact(reservation, key):
        return changed
    return changed._replace(contact=Contact(), cancel_reason="")
