"""The ledger after its next event (Chassaing, "Functional event sourcing decider")."""

from collections.abc import Mapping
from dataclasses import replace

from zimun.domain.ledger.blocks import Block, block_numbers
from zimun.domain.ledger.events import (
    CatalogEvent,
    Event,
    Member,
    ReservationEvent,
    Session,
)
from zimun.domain.ledger.layers import Layer
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import (
    BLOCK,
    OPEN_BLOCK,
    Allocation,
    BlockKey,
)
from zimun.domain.ledger.reservation import Reservation, contact_key


def evolve(ledger: Ledger, event: Event) -> Ledger:
    """The ledger after its next event; pure, so that a group can be decided and thrown away."""
    seq = ledger.seq + 1
    if isinstance(event, CatalogEvent):
        return replace(ledger, seq=seq, catalog_version=seq)
    reservation = event.reservation
    blocks: dict[BlockKey, Block] = {}
    groups: dict[BlockKey, tuple[str, ...]] = {}
    sessions: dict[str, Session] = {}
    last_booked: dict[str, int] = {}
    for session in event.sessions:
        _set_allocation(ledger, blocks, session)
        _set_group(ledger, groups, session)
        if session.members is not None:
            sessions[session.session_id] = session
        elif (members := _members(ledger, event, session)) is not None:
            sessions[session.session_id] = session._replace(members=members)
        before = ledger.last_booked.get(session.staff_id)
        if before is not None and before < session.booked_at:
            last_booked[session.staff_id] = session.booked_at
    return Ledger(
        ledger.org_id,
        seq,
        ledger.time,
        ledger.catalog_version,
        ledger.blocks.with_changes(blocks),
        ledger.group_blocks.with_changes(groups),
        ledger.sessions.with_changes(sessions),
        ledger.reservations.with_changes({reservation.hold_id: reservation}),
        ledger.appointments.with_changes(
            {reservation.appointment_id: reservation.hold_id} if reservation.appointment_id else {}
        ),
        ledger.last_booked.with_changes(last_booked),
        _contacts(ledger, reservation),
        ledger.crowded,
        ledger.origin,
    )


def _members(
    ledger: Ledger, event: ReservationEvent, session: Session
) -> Mapping[str, Member] | None:
    """The members of a session after an event that does not have them; None where those before
    are not loaded."""
    existing = ledger.sessions.get(session.session_id)
    if existing is not None and existing.members is not None:
        return event.members_after(session, existing.members)
    after = event.members_after(session, {})
    alone = sum(member.seats for member in after.values()) == session.seats_taken
    return after if alone else None


def _contacts(ledger: Ledger, reservation: Reservation) -> "Layer[str, tuple[str, ...]]":
    """The appointments by contact; one that has left a contact stays listed."""
    if not reservation.appointment_id or not reservation.contact.email:
        return ledger.contacts
    key = contact_key(reservation.contact.email)
    hold_ids = ledger.contacts.get(key)
    if hold_ids is None or reservation.hold_id in hold_ids:
        return ledger.contacts
    return ledger.contacts.with_changes({key: (*hold_ids, reservation.hold_id)})


def _set_allocation(ledger: Ledger, blocks: dict[BlockKey, Block], session: Session) -> None:
    begin, end = session.busy
    new = Allocation(begin, end, session.until, session.start, session.session_id)
    for subject in session.subjects:
        for number in (*block_numbers(begin, end), OPEN_BLOCK):
            key = (subject, number)
            block = blocks.get(key) or ledger.blocks.get(key)
            if block is not None:
                blocks[key] = block.replaced(new, ledger.seq + 1)


def _set_group(ledger: Ledger, groups: dict[BlockKey, tuple[str, ...]], session: Session) -> None:
    number, service_id = session.start // BLOCK, session.service_id
    for key in ((service_id, number), (service_id, OPEN_BLOCK), (ledger.org_id, number)):
        group = groups[key] if key in groups else ledger.group_blocks.get(key)
        if group is not None:
            others = tuple([session_id for session_id in group if session_id != session.session_id])
            groups[key] = (*others, session.session_id) if session.until else others
