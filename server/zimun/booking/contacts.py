"""Personal data: what is kept of a contact, its removal, and the retention of organizations."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from time import monotonic

from zimun.booking.appointments import DescribedChange, PageKey, describe_changes
from zimun.booking.reader import Reader
from zimun.booking.store import LedgerStore, ReadContact
from zimun.clock import Clock
from zimun.domain.booking_errors import ContactHasAppointments
from zimun.domain.identity import Caller
from zimun.domain.ledger.contacts import is_of_contact
from zimun.domain.ledger.reservation import Reservation, contact_key
from zimun.domain.memory_size import weight

MAX_CHANGES = 10
"""Changes of an appointment that are read at a time: few enough for an item of a page."""

MAX_EXPORT_BYTES = 1_500_000
"""Bytes of personal data that are read for a page (`weight`), beside those of the changes read
last; each change counts CHANGE_BYTES, too."""

CHANGE_BYTES = 2_000
"""What a change counts beside its personal data, as it takes time to write: a page of some 650
changes takes 30 ms."""

BATCH = 50
"""Reservations from which one transaction erases a contact."""

MAX_SOUGHT = 2000
"""Reservations of a contact that are sought at a time."""

MAX_SECONDS = 5.0
"""After about so many seconds a call erases no further batch, and empties no further stored
responses: callers wait for some 15 seconds."""

MAX_SWEPT = 20
"""Organizations whose contacts are looked through at a time."""

MAX_NAMED = 10
"""The most appointments that a refusal names."""


@dataclass(frozen=True, slots=True)
class ContactHistory:
    """The changes of a reservation while it had a contact, oldest first, as far as a page goes."""

    changes: Sequence[DescribedChange]

    @property
    def reservation(self) -> Reservation:
        """The reservation after its last change with the contact."""
        return self.changes[-1].change.reservation


async def export_contact(
    store: LedgerStore, caller: Caller, email: str, size: int, after: PageKey | None
) -> tuple[Sequence[ContactHistory], PageKey | None]:
    """A page of what is kept of a contact, in order of hold_id and revision, and the key after
    which the next page begins.

    It ends early where much is read for it, and then the next page may go on with the same
    reservation; a page may be empty where changes of other contacts are read.
    """
    key, last = contact_key(email), after or (0, "")
    first = last[1]
    histories: list[ContactHistory] = []
    bytes_left = MAX_EXPORT_BYTES
    # The first may have no more changes, and one after the page tells that there is another.
    limit = size + 2
    hold_ids = await store.contact_holds(caller.org_id, key, first, limit)
    for hold_id in hold_ids:
        if len(histories) == size or bytes_left <= 0:
            return histories, last
        begin = last if hold_id == first else (0, hold_id)
        changes, last, bytes_left = await _changes(store, caller.org_id, begin, key, bytes_left)
        if changes:
            histories.append(ContactHistory(changes))
    is_cut = bytes_left <= 0 or len(hold_ids) == limit
    return histories, last if is_cut else None


async def _changes(
    store: LedgerStore, org_id: str, after: PageKey, key: str, bytes_left: int
) -> tuple[Sequence[DescribedChange], PageKey, int]:
    """The changes of a reservation with a contact, until all that are read have so many bytes.

    Returns also the key after which there may be more, and the bytes that are left.
    """
    revision, hold_id = after
    changes: list[DescribedChange] = []
    while bytes_left > 0:
        part = await describe_changes(store, org_id, hold_id, revision, MAX_CHANGES)
        for change in part:
            reservation = change.change.reservation
            revision = reservation.revision
            bytes_left -= CHANGE_BYTES + weight(reservation.contact)
            if is_of_contact(reservation, key):
                changes.append(change)
        if len(part) < MAX_CHANGES:
            break
    return changes, (revision, hold_id), bytes_left


def history_key_of(history: ContactHistory) -> PageKey:
    """The key of a history in its list, after which the next page begins."""
    return history.reservation.revision, history.reservation.hold_id


async def erase_contact(
    store: LedgerStore,
    reader: Reader,
    caller: Caller,
    email: str,
    include_upcoming: bool,
    read_contact: ReadContact,
) -> bool:
    """Erase a contact from reservations, events and stored responses; erasing again is no change.

    Returns whether all is erased; otherwise it is to be called again. What is booked with the
    contact meanwhile may keep it, in its events and in its response alike.
    Raises ContactHasAppointments.
    """
    org_id, key = caller.org_id, contact_key(email)
    now = await reader.query(org_id, lambda ledger, timetable, now: now)
    if not include_upcoming:
        upcoming = await store.upcoming_of_contact(org_id, key, now, MAX_NAMED)
        if upcoming:
            raise ContactHasAppointments(upcoming)
    until = monotonic() + MAX_SECONDS
    is_late = False
    async for hold_ids in _batches_of_contact(store, org_id, key):
        if is_late:
            return False
        await store.erase_contact(org_id, hold_ids, key, caller.client_id, now, include_upcoming)
        is_late = monotonic() > until
    # Responses come last: those stored from now on have no contact that was erased.
    return await store.empty_responses(org_id, key, read_contact, until)


async def _batches_of_contact(
    store: LedgerStore, org_id: str, key: str
) -> AsyncIterator[Sequence[str]]:
    """The reservations that a contact has or has had, some at a time, while they are erased."""
    last = ""
    while True:
        sought = await store.contact_holds(org_id, key, last, MAX_SOUGHT)
        hold_ids = [hold_id for hold_id in sought if hold_id != last]
        for begin in range(0, len(hold_ids), BATCH):
            yield hold_ids[begin : begin + BATCH]
        if len(sought) < MAX_SOUGHT:
            return
        last = sought[-1]


class Retention:
    """Erases the contacts that organizations keep no longer, a few organizations at a time."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store, self._clock, self._after = store, clock, ""

    async def sweep(self) -> int:
        """Go on with the next organizations; returns from how many appointments it erased."""
        org_ids = await self._store.organizations_with_retention(self._after, MAX_SWEPT)
        self._after = org_ids[-1] if len(org_ids) == MAX_SWEPT else ""
        now = self._clock.now()
        erase = self._store.erase_ended_contacts
        return sum([await erase(org_id, now, BATCH) for org_id in org_ids])
