"""Reservations, allocations and answers as rows: every method of a transaction, one by one."""

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from typing import TypeVar

import pytest

from zimun.booking.store import Answer, AppointmentFilter, Store, Transaction
from zimun.domain.availability import Busy, Session
from zimun.domain.catalog import Catalog, Organization, Service
from zimun.domain.errors import AppointmentNotFound, HoldNotFound
from zimun.domain.instant import DAY, HOUR, MINUTE
from zimun.domain.intervals import Interval
from zimun.domain.reservation import Contact, EventType, Reservation, State
from zimun.storage.tables import FOREVER

from .desk import (
    CLASS,
    CUT,
    KIOSK,
    NOW,
    ORG,
    SPA,
    Engine,
    appointment,
    at,
    booked,
    decoded_event,
    events_of,
    open_salon,
)

T = TypeVar("T")

ALL_TUESDAY: Interval = (at(0), at(24))

FULL = Reservation(
    org_id=ORG,
    hold_id="h_full",
    session_id="x_full",
    service_id="s_class",
    location_id="l_1",
    staff_id="t_chloe",
    resource_ids=("r_2", "r_1"),
    seats=3,
    start=at(10),
    end=at(11),
    state=State.CANCELLED,
    expires_at=NOW + 10 * MINUTE,
    create_time=NOW,
    update_time=NOW + 3,
    revision=7,
    appointment_id="a_full",
    confirm_time=NOW + 2,
    contact=Contact(
        name="Şāṃ Ríos 🦊",
        email="müller@bücher.example",
        phone="+49 30 1",
        notes="line one\nline 'two' \"three\" \\",
        metadata={"ключ": "значение", "": ""},
    ),
    cancel_reason="çok geç",
)


def keep(*reservations: Reservation) -> Callable[[Transaction], None]:
    """Add the reservations, and take their people and things while they are live."""

    def run(tx: Transaction) -> None:
        for found in reservations:
            tx.add(EventType.HOLD_CREATED, found, "c_desk")
            if found.state in (State.HELD, State.CONFIRMED):
                subjects = (found.staff_id, *found.resource_ids)
                taken = (found.start, found.end)
                tx.allocate(found, subjects, taken, found.update_time, capacity=1)

    return run


async def kept(store: Store, *reservations: Reservation) -> None:
    await store.write(keep(*reservations))


async def busy(
    store: Store,
    service: Service = CUT,
    within: Interval = ALL_TUESDAY,
    longest_span: int = 2 * HOUR,
    now: int = NOW,
    leaving: Reservation | None = None,
) -> Busy:
    """What is busy, which reads, scans and writes must agree on."""

    catalog = Catalog(
        version="1",
        organization=Organization(id=ORG, name="Salon", time_zone="UTC"),
        services={},
        locations={},
        staff={},
        resources={},
        overrides={},
        longest_span=longest_span,
    )

    def run(tx: Transaction) -> Busy:
        return tx.busy(catalog, service, within, now, leaving)

    found = await store.read(run)
    assert await store.scan(run) == found
    assert await store.write(run) == found
    return found


def test_the_full_reservation_says_something_in_every_field() -> None:
    defaults = {f.name: f.default for f in fields(FULL) if f.default is not MISSING}
    assert [name for name, default in defaults.items() if getattr(FULL, name) == default] == []


@pytest.mark.parametrize("reservation", [FULL, booked(), appointment()], ids=["full", "h", "a"])
async def test_a_reservation_reads_as_it_was_added_in_every_field(
    store: Store, reservation: Reservation
) -> None:
    await kept(store, reservation)
    for way in (store.read, store.scan, store.write):
        found = await way(lambda tx: tx.hold(ORG, reservation.hold_id))
        assert found == reservation
        assert repr(found) == repr(reservation)
    if reservation.appointment_id:
        assert found == await store.read(lambda tx: tx.appointment(ORG, found.appointment_id))


async def test_a_changed_reservation_reads_as_it_was_changed_and_others_as_before(
    store: Store,
) -> None:
    await kept(store, booked(1), booked(2, start=at(11), end=at(11, 30)))
    changed = replace(FULL, hold_id="h_1")
    await store.write(
        lambda tx: tx.change(EventType.APPOINTMENT_CANCELLED, booked(1), changed, "c_desk")
    )
    assert await store.read(lambda tx: tx.hold(ORG, "h_1")) == changed
    assert await store.read(lambda tx: tx.hold(ORG, "h_2")) == booked(
        2, start=at(11), end=at(11, 30)
    )


async def test_every_revision_leaves_an_event_with_the_whole_reservation(
    store: Store, engine: Engine
) -> None:
    await kept(store, booked())
    later = replace(booked(), revision=2, update_time=NOW + 5, contact=FULL.contact)
    await store.write(lambda tx: tx.change(EventType.APPOINTMENT_CONFIRMED, booked(), later, ""))
    tables = engine.tables()
    assert events_of(tables, "h_1") == ["HOLD_CREATED", "APPOINTMENT_CONFIRMED"]
    first, second = tables["events"]
    assert (first["revision"], first["at"], first["client_id"]) == (1, NOW, "c_desk")
    assert (second["revision"], second["at"], second["client_id"]) == (2, NOW + 5, "")
    assert decoded_event(second) == tables["reservations"][0]
    assert decoded_event(first)["contact_name"] == ""


@pytest.mark.parametrize("org_id", [ORG, "o_other"])
async def test_an_unknown_id_and_another_organizations_read_the_same(
    store: Store, org_id: str
) -> None:
    if org_id == "o_other":
        await kept(store, appointment())
    with pytest.raises(HoldNotFound) as hold:
        await store.read(lambda tx: tx.hold(org_id, "h_1"))
    assert hold.value.metadata == {"hold_id": "h_1"}
    with pytest.raises(AppointmentNotFound) as found:
        await store.read(lambda tx: tx.appointment(org_id, "a_1"))
    assert found.value.metadata == {"appointment_id": "a_1"}


async def test_a_hold_is_no_appointment(store: Store) -> None:
    await kept(store, booked())
    with pytest.raises(AppointmentNotFound):
        await store.read(lambda tx: tx.appointment(ORG, ""))
    assert await listed(store) == []


async def listed(
    store: Store,
    wanted: AppointmentFilter = AppointmentFilter(),  # noqa: B008 - frozen
    after: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[str]:
    found = await store.scan(lambda tx: tx.appointments(ORG, wanted, after, limit))
    assert found == await store.read(lambda tx: tx.appointments(ORG, wanted, after, limit))
    return [reservation.appointment_id for reservation in found]


def made_of(number: int, start: int, **changes: object) -> Reservation:
    return appointment(number, start=start, end=start + 1, **changes)


BOOK = (
    made_of(1, 50),
    made_of(2, 30, staff_id="t_ben"),
    made_of(3, 30, service_id="s_spa", state=State.CANCELLED),
    made_of(4, 10, service_id="s_spa", staff_id="t_ben", state=State.COMPLETED),
    made_of(5, 40, state=State.NO_SHOW),
    made_of(6, 20, org_id="o_other"),
    booked(7, start=20, end=21),
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (AppointmentFilter(), ["a_4", "a_2", "a_3", "a_5", "a_1"]),
        (AppointmentFilter(service_id="s_spa"), ["a_4", "a_3"]),
        (AppointmentFilter(staff_id="t_ben"), ["a_4", "a_2"]),
        (AppointmentFilter(state=State.CONFIRMED), ["a_2", "a_1"]),
        (AppointmentFilter(state=State.CANCELLED), ["a_3"]),
        (AppointmentFilter(start_from=30), ["a_2", "a_3", "a_5", "a_1"]),
        (AppointmentFilter(start_before=30), ["a_4"]),
        (AppointmentFilter(start_from=30, start_before=50), ["a_2", "a_3", "a_5"]),
        (AppointmentFilter(start_from=0, start_before=0), []),
        (AppointmentFilter(service_id="s_spa", staff_id="t_ben"), ["a_4"]),
        (AppointmentFilter(service_id="s_cut", staff_id="t_ada", start_from=41), ["a_1"]),
        (AppointmentFilter(service_id="s_nothing"), []),
    ],
)
async def test_appointments_are_listed_in_order_of_start_and_id_as_filtered(
    store: Store, wanted: AppointmentFilter, expected: list[str]
) -> None:
    await kept(store, *BOOK)
    assert await listed(store, wanted) == expected


async def test_a_list_goes_on_after_its_key_whether_or_not_that_appointment_is_left(
    store: Store,
) -> None:
    await kept(store, *BOOK)
    assert await listed(store, after=(10, "a_4")) == ["a_2", "a_3", "a_5", "a_1"]
    assert await listed(store, after=(30, "a_2")) == ["a_3", "a_5", "a_1"]
    assert await listed(store, after=(30, "a_2"), limit=2) == ["a_3", "a_5"]
    assert await listed(store, after=(30, "a_25")) == ["a_3", "a_5", "a_1"]
    assert await listed(store, after=(29, "z")) == ["a_2", "a_3", "a_5", "a_1"]
    assert await listed(store, after=(50, "a_1")) == []
    assert await listed(store, AppointmentFilter(staff_id="t_ben"), after=(10, "a_4")) == ["a_2"]
    assert await listed(store, limit=1) == ["a_4"]


async def test_pages_of_any_size_join_to_the_whole_list(store: Store) -> None:
    made = [made_of(n, n * 7 % 5, staff_id=f"t_{n}") for n in range(1, 14)]
    await kept(store, *made)
    whole = await store.read(lambda tx: tx.appointments(ORG, AppointmentFilter(), None, 100))
    assert len(whole) == 13
    for size in (1, 2, 5, 13):
        found: list[Reservation] = []
        while True:
            key = (found[-1].start, found[-1].appointment_id) if found else None
            page = await store.read(
                lambda tx, key=key, size=size: tx.appointments(ORG, AppointmentFilter(), key, size)  # type: ignore[misc]
            )
            if not page:
                break
            found += page
        assert found == whole


async def test_holds_are_stale_from_the_instant_they_expire_and_oldest_come_first(
    store: Store,
) -> None:
    await kept(
        store,
        booked(1, expires_at=30, start=1, end=2),
        booked(2, expires_at=10, start=2, end=3),
        booked(3, expires_at=20, start=3, end=4),
        booked(4, expires_at=10, state=State.EXPIRED),
        booked(5, expires_at=10, state=State.RELEASED),
        appointment(6, expires_at=10, start=4, end=5),
        booked(7, expires_at=10, org_id="o_other"),
    )

    async def stale(now: int, limit: int = 10) -> list[str]:
        return await store.read(lambda tx: tx.stale_holds(ORG, now, limit))

    assert await stale(9) == []
    assert await stale(10) == ["h_2"]
    assert await stale(29) == ["h_2", "h_3"]
    assert await stale(30) == ["h_2", "h_3", "h_1"]
    assert await stale(30, limit=2) == ["h_2", "h_3"]


async def test_a_hold_keeps_its_subjects_busy_until_the_instant_it_expires(store: Store) -> None:
    held = booked(resource_ids=("r_room",))
    await kept(store, held)
    taken = {"t_ada": [(held.start, held.end)], "r_room": [(held.start, held.end)]}
    assert (await busy(store, SPA, now=held.expires_at - 1)).taken == taken
    assert (await busy(store, SPA, now=held.expires_at)).taken == {}


async def test_an_appointment_keeps_its_subjects_busy_for_ever(store: Store) -> None:
    await kept(store, appointment())
    assert (await busy(store, now=FOREVER - 1)).taken == {"t_ada": [(at(10), at(10, 30))]}


async def test_busy_times_are_those_of_the_services_subjects_in_order(store: Store) -> None:
    await kept(
        store,
        booked(1, start=at(12), end=at(13)),
        booked(2, start=at(9), end=at(10)),
        booked(3, start=at(9), end=at(12), staff_id="t_ben", resource_ids=("r_hall",)),
    )
    found = await busy(store, CUT)
    assert found.taken == {
        "t_ada": [(at(9), at(10)), (at(12), at(13))],
        "t_ben": [(at(9), at(12))],
    }
    assert found.sessions == {}
    assert (await busy(store, CLASS)).taken == {"r_hall": [(at(9), at(12))]}
    assert (await busy(store, KIOSK)).taken == {}


async def test_another_organizations_rows_keep_nobody_busy(store: Store) -> None:
    other = booked(org_id="o_other", service_id=CLASS.id, staff_id="t_chloe")
    await kept(store, other, replace(other, hold_id="h_2", staff_id="t_ada", session_id="x_2"))
    found = await busy(store, CLASS)
    assert (found.taken, found.sessions) == ({}, {})
    assert (await busy(store)).taken == {}


@pytest.mark.parametrize(
    ("within", "seen"),
    [
        ((at(10), at(11)), True),
        ((at(11, 59), at(12)), True),
        ((at(12), at(13)), False),
        ((at(9), at(10)), False),
        ((at(9), at(10) + 1), True),
        ((at(12) - 1, at(20)), True),
        ((at(0), at(24)), True),
    ],
)
async def test_what_overlaps_the_window_is_busy_and_what_touches_it_is_not(
    store: Store, within: Interval, seen: bool
) -> None:
    await kept(store, booked(start=at(10), end=at(12)))
    found = await busy(store, within=within, longest_span=2 * HOUR)
    assert found.taken == ({"t_ada": [(at(10), at(12))]} if seen else {})


async def test_a_long_booking_that_began_before_the_window_is_found_by_the_longest_span(
    store: Store,
) -> None:
    await kept(store, booked(start=at(1), end=at(11)))
    long = {"t_ada": [(at(1), at(11))]}
    within = (at(11) - 1, at(12))
    assert (await busy(store, within=within, longest_span=10 * HOUR)).taken == long
    later = booked(2, start=at(11), end=at(11, 30))
    await kept(store, later)
    assert (await busy(store, within=(at(11), at(12)), longest_span=10 * HOUR)).taken == {
        "t_ada": [(at(11), at(11, 30))]
    }


def seat(number: int, **changes: object) -> Reservation:
    """A hold of one seat of the class at ten."""
    usual = {
        "session_id": "x_class",
        "service_id": CLASS.id,
        "staff_id": "t_chloe",
        "resource_ids": ("r_hall",),
        "end": at(11),
    }
    return booked(number, **{**usual, **changes})


def share(*seats: Reservation) -> Callable[[Transaction], None]:
    """One session: the first seat takes its subjects, the others join it."""

    def run(tx: Transaction) -> None:
        keep(seats[0])(tx)
        for joining in seats[1:]:
            tx.add(EventType.HOLD_CREATED, joining, "c_desk")
            tx.settle(ORG, joining.session_id)

    return run


def session(seats_taken: int, session_id: str = "x_class", start: int = at(10)) -> Session:
    return Session(session_id, start, start + HOUR, "t_chloe", ("r_hall",), "", seats_taken)


async def test_the_seats_of_a_group_are_summed_by_session(store: Store) -> None:
    await store.write(share(seat(1), seat(2, seats=3), seat(3, state=State.RELEASED)))
    await store.write(share(seat(4, session_id="x_2", start=at(12), end=at(13), seats=2)))
    found = await busy(store, CLASS)
    assert found.sessions == {at(10): [session(4)], at(12): [session(2, "x_2", at(12))]}
    assert found.taken["t_chloe"] == [(at(10), at(11)), (at(12), at(13))]


async def test_sessions_of_one_start_are_told_apart(store: Store) -> None:
    await store.write(share(seat(1, session_id="x_b"), seat(2, session_id="x_b")))
    elsewhere = seat(3, session_id="x_a", staff_id="t_ben", resource_ids=())
    await store.write(share(elsewhere))
    assert (await busy(store, CLASS)).sessions == {
        at(10): [Session("x_a", at(10), at(11), "t_ben", (), "", 1), session(2, "x_b")]
    }


async def test_seats_count_while_their_hold_is_live_and_not_when_it_is_leaving(
    store: Store,
) -> None:
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9, seats=2)))
    assert (await busy(store, CLASS, now=NOW + 4)).sessions == {at(10): [session(3)]}
    assert (await busy(store, CLASS, now=NOW + 5)).sessions == {at(10): [session(2)]}
    assert (await busy(store, CLASS, now=NOW + 9)).sessions == {}
    assert (await busy(store, CLASS, leaving=seat(2))).sessions == {at(10): [session(1)]}
    assert (await busy(store, CLASS, now=NOW + 5, leaving=seat(2))).sessions == {}


async def test_confirmed_seats_count_whatever_their_holds_expiry_was(store: Store) -> None:
    await store.write(share(seat(1, state=State.CONFIRMED, appointment_id="a_1", expires_at=NOW)))
    assert (await busy(store, CLASS, now=NOW + DAY)).sessions == {at(10): [session(1)]}


async def test_sessions_are_those_that_start_within_the_window(store: Store) -> None:
    await store.write(share(seat(1)))
    assert (await busy(store, CLASS, within=(at(10), at(10) + 1))).sessions != {}
    assert (await busy(store, CLASS, within=(at(9), at(10)))).sessions == {}
    assert (await busy(store, CLASS, within=(at(10) + 1, at(12)))).sessions == {}


async def test_a_service_of_single_seats_has_no_sessions(store: Store) -> None:
    await kept(store, booked())
    assert (await busy(store, CUT)).sessions == {}


async def last_free(store: Store) -> int | None:
    """The first instant after NOW, of those that matter here, at which the class is not busy."""
    instants = [NOW, NOW + 5, NOW + 9, NOW + 20, FOREVER - 1]
    for now in instants:
        if not (await busy(store, CLASS, now=now)).taken:
            return now
    return None


async def test_a_session_lasts_as_long_as_its_longest_hold(store: Store) -> None:
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9)))
    assert await last_free(store) == NOW + 9
    shortened = replace(seat(2), state=State.RELEASED, revision=2)

    def release(tx: Transaction) -> None:
        tx.change(EventType.HOLD_RELEASED, seat(2), shortened, "c_desk")
        tx.settle(ORG, "x_class")

    await store.write(release)
    assert await last_free(store) == NOW + 5


async def test_a_session_ends_with_its_last_live_seat(store: Store, engine: Engine) -> None:
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9)))
    assert len(engine.tables()["allocations"]) == 2
    await store.write(expire(1))
    assert len(engine.tables()["allocations"]) == 2
    await store.write(expire(2))
    assert engine.tables()["allocations"] == []


def expire(number: int) -> Callable[[Transaction], None]:
    """Record that the time of a class's hold is over."""

    def run(tx: Transaction) -> None:
        expired = replace(seat(number), state=State.EXPIRED, revision=2)
        tx.change(EventType.HOLD_EXPIRED, seat(number), expired, "")
        tx.settle(ORG, "x_class")

    return run


async def test_a_hold_that_has_run_out_keeps_its_rows_until_that_is_recorded(
    store: Store, engine: Engine
) -> None:
    """They take nothing, but whoever comes to their place must record it first."""
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9)))
    await store.write(expire(2))
    assert {row["expires_at"] for row in engine.tables()["allocations"]} == {NOW + 5}
    found = await busy(store, CLASS, now=NOW + 5)
    assert (found.taken, found.run_out) == ({}, {"t_chloe", "r_hall"})


async def test_one_confirmed_seat_keeps_the_session_for_ever(store: Store) -> None:
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9)))
    confirmed = replace(seat(1), state=State.CONFIRMED, appointment_id="a_1", revision=2)

    def confirm(tx: Transaction) -> None:
        tx.change(EventType.APPOINTMENT_CONFIRMED, seat(1), confirmed, "c_desk")
        tx.settle(ORG, "x_class")

    await store.write(confirm)
    assert await last_free(store) is None


async def test_who_leaves_frees_the_session_that_only_they_kept(store: Store) -> None:
    await store.write(share(seat(1, expires_at=NOW + 5), seat(2, expires_at=NOW + 9)))
    taken = {"t_chloe": [(at(10), at(11))], "r_hall": [(at(10), at(11))]}
    assert (await busy(store, CLASS)).taken == taken
    assert (await busy(store, CLASS, leaving=seat(2))).taken == taken
    assert (await busy(store, CLASS, now=NOW + 5)).taken == taken
    assert (await busy(store, CLASS, now=NOW + 5, leaving=seat(2))).taken == {}


async def test_settling_touches_no_other_session_and_no_other_organization(
    store: Store, engine: Engine
) -> None:
    await store.write(share(seat(1)))
    await kept(
        store,
        booked(2, session_id="x_other"),
        booked(3, session_id="x_class", org_id="o_other"),
    )
    before = engine.tables()["allocations"]
    assert len(before) == 4
    await store.write(expire(1))
    left = [(row["org_id"], row["session_id"]) for row in engine.tables()["allocations"]]
    assert left == [("o_other", "x_class"), (ORG, "x_other")]
    assert [row for row in before if (row["org_id"], row["session_id"]) in left] == engine.tables()[
        "allocations"
    ]


async def load(store: Store, now: int = NOW, *staff_ids: str) -> dict[str, tuple[int, int]]:
    wanted = staff_ids or ("t_ada", "t_ben", "t_chloe")
    return dict(await store.write(lambda tx: tx.staff_load(ORG, wanted, (at(0), at(24)), DAY, now)))


async def test_staff_load_counts_the_days_bookings_and_tells_when_the_last_was_made(
    store: Store,
) -> None:
    await store.write(open_salon)
    await kept(
        store,
        booked(1, start=at(10), end=at(11), update_time=NOW - 3, expires_at=NOW + 1),
        booked(2, start=at(12), end=at(13), update_time=NOW - 1, expires_at=NOW + 5),
        appointment(3, start=at(24), end=at(25), update_time=NOW - 2),
        appointment(4, start=at(-1), end=at(1), update_time=NOW - 9),
        appointment(5, start=at(10), end=at(11), staff_id="t_ben", update_time=NOW - 5),
        booked(6, start=at(15), end=at(16), staff_id="t_ben", org_id="o_other"),
    )
    assert await load(store) == {"t_ada": (2, NOW - 1), "t_ben": (1, NOW - 5), "t_chloe": (0, 0)}
    assert await load(store, NOW + 1) == {
        "t_ada": (1, NOW - 1),
        "t_ben": (1, NOW - 5),
        "t_chloe": (0, 0),
    }
    assert await load(store, NOW, "t_ben") == {"t_ben": (1, NOW - 5)}


async def test_staff_load_counts_a_booking_on_the_day_that_it_starts_whatever_its_buffers(
    store: Store,
) -> None:
    await store.write(open_salon)
    first, next_day = appointment(1, start=at(0)), appointment(2, start=at(24), staff_id="t_ben")

    def run(tx: Transaction) -> None:
        for found in (first, next_day):
            taken = (found.start - 10 * MINUTE, found.start + HOUR)
            tx.add(EventType.APPOINTMENT_CONFIRMED, found, "")
            tx.allocate(found, (found.staff_id,), taken, NOW, capacity=1)

    await store.write(run)
    assert await load(store, NOW, "t_ada", "t_ben") == {"t_ada": (1, NOW), "t_ben": (0, NOW)}


IDENTITY = (ORG, "c_desk", "Hold", "key")
ANSWER = Answer(b"\x00\xff fingerprint", b"\x00response\xff", NOW + DAY)


async def test_an_answer_is_kept_for_its_key_alone(store: Store) -> None:
    assert await store.write(lambda tx: tx.recall(*IDENTITY)) is None
    await store.write(lambda tx: tx.remember(*IDENTITY, ANSWER))
    for way in (store.read, store.scan, store.write):
        assert await way(lambda tx: tx.recall(*IDENTITY)) == ANSWER
    for position in range(4):
        other = [*IDENTITY]
        other[position] += "x"
        assert await store.read(lambda tx, other=other: tx.recall(*other)) is None  # type: ignore[misc]
    assert await store.read(lambda tx: tx.recall(ORG, "c_desk", "Hold", "KEY")) is None


async def test_an_answer_is_forgettable_from_the_instant_that_its_lifetime_is_over(
    store: Store,
) -> None:
    another = (ORG, "c_desk", "Hold", "younger")
    await store.write(lambda tx: tx.remember(*IDENTITY, ANSWER))
    await store.write(lambda tx: tx.remember(*another, replace(ANSWER, expires_at=NOW + DAY + 1)))
    elsewhere = ("o_other", "c_desk", "Hold", "key")
    await store.write(lambda tx: tx.remember(*elsewhere, ANSWER))

    async def forget(now: int) -> bool:
        due = await store.read(lambda tx: tx.forgettable(ORG, now))
        await store.write(lambda tx: tx.forget(ORG, now))
        assert not await store.read(lambda tx: tx.forgettable(ORG, now))
        return due

    assert not await forget(NOW + DAY - 1)
    assert await store.read(lambda tx: tx.recall(*IDENTITY)) == ANSWER
    assert await forget(NOW + DAY)
    assert await store.read(lambda tx: tx.recall(*IDENTITY)) is None
    assert await store.read(lambda tx: tx.recall(*another)) is not None
    assert await store.read(lambda tx: tx.recall(*elsewhere)) == ANSWER


async def test_the_keys_that_have_an_answer_are_told_from_those_that_have_none(
    store: Store,
) -> None:
    org_id, client_id, method, key = IDENTITY
    others = [
        ("o_other", client_id, method, key),
        (org_id, "c_other", method, key),
        (org_id, client_id, "Other", key),
        (org_id, client_id, method, "other"),
    ]
    await store.write(lambda tx: tx.remember(*IDENTITY, ANSWER))
    assert await store.read(lambda tx: tx.answered([*others, IDENTITY])) == {IDENTITY}
    assert await store.read(lambda tx: tx.answered(others)) == set()
    assert await store.read(lambda tx: tx.answered([])) == set()


async def test_a_function_that_raises_leaves_no_trace_of_anything_it_did(
    store: Store, engine: Engine
) -> None:
    await store.write(open_salon)
    await store.write(share(seat(1)))
    await store.write(lambda tx: tx.remember(*IDENTITY, ANSWER))
    before = engine.tables()

    def run(tx: Transaction) -> None:
        keep(booked(2, staff_id="t_ben"))(tx)
        tx.change(EventType.HOLD_RELEASED, seat(1), replace(seat(1), revision=2), "c_desk")
        tx.settle(ORG, "x_class")
        tx.forget(ORG, NOW + DAY)
        tx.put_entry(ORG, replace(CUT, name="lost"))
        assert tx.hold(ORG, "h_2").staff_id == "t_ben"
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(run)
    assert engine.tables() == before
