"""Limits over ledgers: never exceeded, and no refusal without one; all bookings are counted."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.appointment_commands import BookAppointment, UpdateAppointment
from zimun.domain.availability.slot_request import SlotRequest
from zimun.domain.availability.timetable import Timetable
from zimun.domain.booking_errors import LimitReached
from zimun.domain.catalog.booking_limit import (
    AppliedLimit,
    BookingLimit,
    LimitPeriod,
    LimitSubject,
)
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.catalog.entries import Service
from zimun.domain.commands import (
    CancelAppointment,
    Command,
    ConfirmHold,
    Decision,
    ExpireHold,
    Hold,
    ReleaseHold,
    RescheduleAppointment,
)
from zimun.domain.errors import ZimunError
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.reservation import LIVE, Contact, Reservation, State

from ...support.profiles import examples
from . import build
from .ledger_model import Keeper, Model
from .oracle import period_of

Refusal = tuple[type[ZimunError], dict[str, str]]
"""A refusal's class and its metadata."""

NOW = build.utc("2026-01-26T08:00")
"""A Monday; the month ends on the Saturday after."""

STARTS = [NOW + days * DAY + hours * HOUR for days in (0, 1, 4, 6, 7, 12) for hours in (1, 4, 22)]

CONTACTS = [Contact(email=email) for email in ("", "sam@example.com", "SAM@example.com", "b@c.de")]

SERVICES = (
    build.service(id="s_cut", duration=HOUR, staff_ids=("t_ada", "t_ben"), buffer_before=MINUTE),
    build.service(
        id="s_class", duration=HOUR, capacity=3, staff_ids=("t_ben",),
        resource_requirements=(("r_1", "r_2"),),
    ),
    build.service(id="s_kiosk", duration=HOUR),
)  # fmt: skip

limits = st.lists(
    st.builds(
        BookingLimit,
        max_bookings=st.integers(1, 2),
        period=st.sampled_from(LimitPeriod),
        per=st.sampled_from(LimitSubject),
    ),
    max_size=2,
    unique_by=lambda limit: (limit.period, limit.per),
).map(tuple)


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    services = [replace(one, booking_limits=draw(limits)) for one in SERVICES]
    return build.catalog(
        *services,
        organization=build.organization(time_zone="America/New_York", booking_limits=draw(limits)),
        staff=[
            build.member(id="t_ada", time_zone="Asia/Tokyo", daily_limit=draw(st.integers(0, 1))),
            build.member(id="t_ben"),
        ],
        resources=[build.resource(id="r_1"), build.resource(id="r_2")],
    )


def command_of(draw: Callable[[st.SearchStrategy[Any]], Any], model: Model, n: int) -> Command:
    known = list(model.reservations.values())
    start, contact = draw(st.sampled_from(STARTS)), draw(st.sampled_from(CONTACTS))
    kind = draw(st.sampled_from(["hold", "hold", "book", "book", "confirm", "confirm", "move",
                                 "move", "update", "release", "cancel", "expire"]))  # fmt: skip
    if kind in ("hold", "book") or not known:
        service = draw(st.sampled_from(SERVICES))
        request = SlotRequest(service.id, staff_id=draw(st.sampled_from(("", *service.staff_ids))))
        hold = Hold(request, start, f"h_{n}", f"x_{n}")
        return BookAppointment(hold, f"a_{n}", contact) if kind == "book" else hold
    one = draw(st.sampled_from(known))
    appointment_id = one.appointment_id or "a_none"
    commands: dict[str, Command] = {
        "confirm": ConfirmHold(one.hold_id, f"a_{n}", contact),
        "move": RescheduleAppointment(appointment_id, start, "", "", f"x_{n}"),
        "update": UpdateAppointment(appointment_id, "", {"email": contact.email}),
        "release": ReleaseHold(one.hold_id),
        "cancel": CancelAppointment(appointment_id, "", ""),
        "expire": ExpireHold(one.hold_id),
    }
    return commands[kind]


def counted(
    catalog: Catalog, model: Model, own: Reservation, applied: AppliedLimit, now: int
) -> int:
    """How many bookings count for a limit, in the period of `own`; what is beside it in one
    session does not count apart."""
    limit, owner_id, subject = applied
    is_customers = limit.per is LimitSubject.CUSTOMER
    zone = catalog.organization.time_zone
    if limit.per is LimitSubject.STAFF_MEMBER:
        zone = catalog.staff[subject].time_zone
    found = set()
    for one in model.reservations.values():
        live = one.state in LIVE and (one.state is not State.HELD or one.expires_at > now)
        of_service = limit.per is LimitSubject.SERVICE or owner_id == own.service_id
        if not live or (of_service and one.service_id != own.service_id):
            continue
        if is_customers:
            same = one.contact.email.casefold() == own.contact.email.casefold()
            counts = bool(one.appointment_id) and same
        else:
            counts = subject in (one.staff_id, *one.resource_ids, one.service_id)
        if limit.period is LimitPeriod.UPCOMING:
            counts = counts and one.start > now
        elif period_of(limit.period, zone, one.start) != period_of(limit.period, zone, own.start):
            counts = False
        if counts:
            found.add(one.hold_id if is_customers else one.session_id)
    return len(found)


def applied_to(catalog: Catalog, own: Reservation) -> list[AppliedLimit]:
    """The limits of a reservation as it is."""
    service = catalog.entry(Service, own.service_id)
    subjects = ("", own.service_id, own.staff_id, *own.resource_ids)
    return [
        applied
        for applied in catalog.demand(service, "").limits
        if applied.subject_id in subjects
        and (applied.limit.per is not LimitSubject.CUSTOMER or own.contact.email)
    ]


def check_not_exceeded(catalog: Catalog, model: Model, own: Reservation, now: int) -> None:
    """No limit of what was just booked or moved is exceeded, unless it joined a session."""
    joined = any(
        one.session_id == own.session_id and one.hold_id != own.hold_id and one.state in LIVE
        for one in model.reservations.values()
    )
    for applied in applied_to(catalog, own):
        if applied.limit.per is LimitSubject.CUSTOMER or not joined:
            number = counted(catalog, model, own, applied, now)
            assert number <= applied.limit.max_bookings, applied


@given(catalog=catalogs(), data=st.data())
@examples(300)
def test_no_limit_is_exceeded_and_memory_loaded_early_or_late_decides_alike(
    catalog: Catalog, data: st.DataObject
) -> None:
    timetable, model, now = Timetable(catalog), Model(), NOW
    early = Keeper(model)
    for number in range(data.draw(st.integers(1, 14))):
        now += data.draw(st.sampled_from([0, MINUTE, 10 * MINUTE, 5 * HOUR, DAY]))
        command = command_of(data.draw, model, number)
        late = Keeper(model, Ledger("o_1", len(model.events), now, 0))
        outcomes: list[Decision | Refusal] = []
        for keeper in (early, late):
            try:
                outcomes.append(
                    keeper.query(lambda ledger: command.decide(ledger, timetable, now, "c"))  # noqa: B023
                )
            except ZimunError as error:
                outcomes.append((type(error), error.metadata))
        # Whom memory takes for the last who was booked may differ.
        refused = [isinstance(one, Decision) or one for one in outcomes]
        assert refused[0] == refused[1]
        if not isinstance(outcomes[0], Decision):
            check_refusal(catalog, model, command, outcomes[0], now)
            continue
        model.events += outcomes[0].events  # type: ignore[arg-type]
        early.evolve(outcomes[0].events)
        own = outcomes[0].result
        takes_time = isinstance(command, Hold | BookAppointment | RescheduleAppointment)
        takes_contact = isinstance(command, ConfirmHold | UpdateAppointment) and now < own.start
        if outcomes[0].events and (takes_time or takes_contact):
            check_not_exceeded(catalog, model, own, now)


def check_refusal(
    catalog: Catalog, model: Model, command: Command, refused: Refusal, now: int
) -> None:
    """The limit that a refusal of a hold names is reached, and ends in the future."""
    error, metadata = refused
    if error is not LimitReached:
        return
    assert build.utc(metadata["ends"].removesuffix("Z")) > now
    if isinstance(command, BookAppointment):
        contact, hold = command.contact, command.hold
    elif isinstance(command, Hold):
        contact, hold = Contact(), command
    else:
        return
    service = catalog.entry(Service, hold.request.service_id)
    own = build.reservation(service_id=service.id, start=hold.start, contact=contact)
    [applied] = [
        one
        for one in catalog.demand(service, "").limits
        if (one.owner_id, one.subject_id) == (metadata["owner_id"], metadata.get("subject_id", ""))
        and (one.limit.per, one.limit.period) == (metadata["per"], metadata["period"])
    ]
    assert counted(catalog, model, own, applied, now) >= applied.limit.max_bookings
