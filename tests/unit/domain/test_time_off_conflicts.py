"""Conflicts of time off, against a look at every booking."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.booking_errors import TooManyBookings
from zimun.domain.catalog.time_off import TimeOff
from zimun.domain.instant import DAY, HOUR
from zimun.domain.intervals import Interval
from zimun.domain.ledger import time_off_conflicts
from zimun.domain.ledger.events import FOREVER, EventType, ReservationEvent, Session, member_of
from zimun.domain.ledger.ledger import Ledger
from zimun.domain.ledger.loading import BLOCK, Needs, NotLoaded
from zimun.domain.ledger.reservation import Reservation, State
from zimun.domain.ledger.time_off_conflicts import MAX_CONFLICTS, Conflicts, conflicts_of

from ...support.profiles import examples
from .build import catalog, location, member, resource, service
from .ledger_model import EDGE, Keeper, Model

LONGEST = 30 * HOUR
CATALOG = replace(
    catalog(
        service(id="s_1", duration=LONGEST),
        service(id="s_2", duration=LONGEST),
        staff=[member(id="t_1")],
        locations=[location(id="l_1"), location(id="l_2")],
        resources=[resource(id="r_1")],
    ),
    longest_span=LONGEST,
)
OWNERS = ("o_1", "l_1", "l_2", "t_1", "r_1")


def booking(number: int, start: int, end: int, state: State, taken: str) -> ReservationEvent:
    """A reservation that takes a location, a staff member or a resource."""
    made = Reservation(
        org_id="o_1",
        hold_id=f"h_{number}",
        session_id=f"x_{number}",
        service_id=f"s_{1 + number % 2}",
        location_id=taken if taken.startswith("l_") else "",
        staff_id=taken if taken.startswith("t_") else "",
        resource_ids=(taken,) if taken.startswith("r_") else (),
        seats=1,
        start=start,
        end=end,
        state=state,
        expires_at=EDGE,
        create_time=0,
        update_time=0,
        appointment_id="" if state is State.HELD else f"a_{number}",
    )
    session = Session(
        *made[2:5], made.staff_id, made.resource_ids, start, end, (start, end), 0, 1
    ).with_members({made.hold_id: member_of(made)})
    return ReservationEvent(EventType.HOLD_CREATED, "", made, [session])


def expected(model: Model, off: TimeOff, now: int) -> list[Reservation]:
    """By a look at each reservation; in order of start and id."""
    overlapped = [
        made
        for made in model.reservations.values()
        if off.owner_id in ("o_1", made.location_id, made.staff_id, *made.resource_ids)
        and (made.state is not State.HELD or made.expires_at > now)
        and any(
            made.start < end and made.end > max(begin, now) and end > now
            for begin, end in off.intervals
        )
    ]
    return sorted(overlapped, key=lambda made: (made.start, made.hold_id))


hours = st.builds(
    lambda block, hour: EDGE + block * BLOCK + hour * HOUR,
    st.sampled_from((0, 0, 0, 1, 2)),
    st.integers(-30, 30),
)
"""Near the edges of three blocks, most of them near the first."""


def bookings(owner_id: str) -> st.SearchStrategy[list[tuple[int, int, State, str]]]:
    """Starts, hours, states, and what is taken: an owner of time off more often than others."""
    own = () if owner_id == "o_1" else (owner_id,) * 4
    state, taken = st.sampled_from((State.HELD, State.CONFIRMED)), ("", *own, *OWNERS[1:])
    booking = st.tuples(hours, st.integers(1, 30), state, st.sampled_from(taken))
    return st.lists(booking, min_size=3, max_size=12)


@st.composite
def time_off(draw: st.DrawFn, owner_id: str) -> TimeOff:
    length = draw(st.integers(1, 25)) * HOUR
    first, step = draw(hours), draw(st.sampled_from((DAY + HOUR, 2 * DAY, BLOCK, 2 * BLOCK)))
    starts = [first + n * step for n in range(draw(st.integers(1, 4)))]
    occurrences: list[Interval] = [(start, start + length) for start in starts]
    return TimeOff(
        owner_id=owner_id,
        start=first,
        end=first + length,
        occurrences=tuple(occurrences),
        id="f_1",
    )


@given(data=st.data(), owner_id=st.sampled_from(OWNERS), hour=st.integers(-40, 20))
@examples(200)
def test_conflicts_are_the_live_bookings_that_overlap_an_occurrence_and_did_not_before(
    data: st.DataObject, owner_id: str, hour: int
) -> None:
    events: list[ReservationEvent] = []
    for number, (start, length, state, taken) in enumerate(data.draw(bookings(owner_id))):
        event = booking(number, start, start + length * HOUR, state, taken)
        # What is taken once at a time is taken once.
        others = (one.reservation for one in events)
        if taken[:2] not in ("t_", "r_") or not any(
            taken in (other.staff_id, *other.resource_ids)
            and other.start < event.reservation.end
            and start < other.end
            for other in others
        ):
            events.append(event)
    model, now = Model(events), EDGE + hour * HOUR
    off = data.draw(time_off(owner_id))
    before = data.draw(st.none() | time_off(owner_id))
    conflicts = Keeper(model).query(lambda ledger: conflicts_of(ledger, CATALOG, off, now, before))
    overlapped = expected(model, off, now)
    overlapped_before = expected(model, before, now) if before else []
    new = [made for made in overlapped if made not in overlapped_before]
    assert [*conflicts.reservations] == new[:MAX_CONFLICTS]
    assert conflicts.total == len(new)


def test_time_off_at_the_times_of_before_has_no_conflicts_whatever_is_booked() -> None:
    off = TimeOff(owner_id="t_1", start=EDGE, end=EDGE + HOUR, id="f_1")
    renamed = replace(off, note="Training")
    assert conflicts_of(Ledger("o_1", 0, 0, 0), CATALOG, renamed, EDGE, off) == Conflicts()


def needs_of(services: int, occurrences: int) -> Needs:
    """What must be loaded to know the conflicts of an organization's sparse time off."""
    many = catalog(*(service(id=f"s_{number}") for number in range(services)))
    times = tuple((EDGE + n * 4 * BLOCK, EDGE + n * 4 * BLOCK + HOUR) for n in range(occurrences))
    off = TimeOff(owner_id="o_1", start=EDGE, end=EDGE + HOUR, occurrences=times)
    try:
        conflicts_of(Ledger("o_1", 0, 0, 0), many, off, EDGE)
    except NotLoaded as lacking:
        return lacking.needs
    return Needs()


def test_conflicts_of_an_organization_need_as_many_blocks_whatever_the_number_of_services() -> None:
    needs = needs_of(services=300, occurrences=20)
    assert needs == needs_of(services=1, occurrences=20)
    assert len(needs.group_blocks) <= 2 * 20
    assert FOREVER // BLOCK not in {number for _, number in needs.group_blocks}


def conflicts_of_bookings(off: TimeOff, *taken: tuple[str, int, int]) -> int:
    """How many of some appointments, each by what it takes, its start and end, conflict."""
    events = [
        booking(number, start, end, State.CONFIRMED, subject)
        for number, (subject, start, end) in enumerate(taken)
    ]
    return Keeper(Model(events)).query(lambda ledger: conflicts_of(ledger, CATALOG, off, 0)).total


@pytest.mark.parametrize("owner_id", OWNERS)
def test_bookings_that_touch_time_off_do_not_overlap_it(owner_id: str) -> None:
    off = TimeOff(owner_id=owner_id, start=EDGE, end=EDGE + HOUR, id="f_1")
    beside = (owner_id, EDGE - HOUR, EDGE), (owner_id, EDGE + HOUR, EDGE + 2 * HOUR)
    assert conflicts_of_bookings(off, *beside) == 0
    assert conflicts_of_bookings(off, beside[0], (owner_id, EDGE, EDGE + 1), beside[1]) == 1
    assert conflicts_of_bookings(off, (owner_id, EDGE - HOUR, EDGE + 1)) == 1


@pytest.mark.parametrize(
    ("owner_id", "count"), [("l_1", 1), ("l_2", 1), ("t_1", 1), ("r_1", 1), ("o_1", 4)]
)
def test_time_off_conflicts_with_the_bookings_of_its_owner(owner_id: str, count: int) -> None:
    off = TimeOff(owner_id=owner_id, start=EDGE, end=EDGE + HOUR, id="f_1")
    taken = [(subject, EDGE, EDGE + HOUR) for subject in OWNERS[1:]]
    assert conflicts_of_bookings(off, *taken) == count


@pytest.mark.parametrize("move", [-DAY, DAY])
def test_time_off_that_is_moved_conflicts_with_what_it_did_not_overlap(move: int) -> None:
    before = TimeOff(owner_id="t_1", start=EDGE, end=EDGE + HOUR, id="f_1")
    after = replace(before, start=EDGE + move, end=EDGE + move + HOUR)
    there = booking(1, after.start, after.end, State.CONFIRMED, "t_1")
    found = Keeper(Model([there])).query(
        lambda ledger: conflicts_of(ledger, CATALOG, after, 0, before)
    )
    assert found == Conflicts([there.reservation], 1)


def test_conflicts_of_a_staff_member_name_all_that_they_need_at_once() -> None:
    """Blocks first, then the sessions in them, then the reservations of these."""
    off = TimeOff(owner_id="t_1", start=EDGE, end=EDGE + DAY, id="f_1")
    keeper = Keeper(
        Model(
            [
                booking(n, EDGE + n * HOUR, EDGE + (n + 1) * HOUR, State.CONFIRMED, "t_1")
                for n in range(3)
            ]
        )
    )
    needs: list[Needs] = []

    def query(ledger: Ledger) -> Conflicts:
        try:
            return conflicts_of(ledger, CATALOG, off, 0)
        except NotLoaded as lacking:
            needs.append(lacking.needs)
            raise

    assert keeper.query(query).total == 3
    assert needs[1:] == [
        Needs(session_ids={f"x_{n}" for n in range(3)}),
        Needs(hold_ids={f"h_{n}" for n in range(3)}),
    ]


def met(owner_id: str, count: int, before: TimeOff | None = None) -> Conflicts:
    """The conflicts of a day off with so many hours that are booked in a row."""
    off = TimeOff(owner_id=owner_id, start=EDGE, end=EDGE + DAY, id="f_1")
    events = [
        booking(n, EDGE + n * HOUR, EDGE + (n + 1) * HOUR, State.CONFIRMED, owner_id)
        for n in range(count)
    ]
    return Keeper(Model(events)).query(lambda ledger: conflicts_of(ledger, CATALOG, off, 0, before))


@pytest.mark.parametrize("owner_id", OWNERS)
def test_time_off_that_overlaps_too_many_bookings_is_refused(
    owner_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_off_conflicts, "MAX_MET", 3)
    monkeypatch.setattr(time_off_conflicts, "WINDOW", BLOCK)
    assert met(owner_id, 3).total == 3
    with pytest.raises(TooManyBookings):
        met(owner_id, 4)
    # Those that it overlapped before are looked at as well, though they are no conflicts.
    before = TimeOff(owner_id=owner_id, start=EDGE, end=EDGE + 2 * HOUR, id="f_1")
    assert met(owner_id, 3, before=before).total == 1
    with pytest.raises(TooManyBookings):
        met(owner_id, 4, before=before)


@pytest.mark.parametrize("owner_id", OWNERS)
def test_time_off_is_refused_before_all_that_it_overlaps_is_loaded(
    owner_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_off_conflicts, "MAX_MET", 3)
    monkeypatch.setattr(time_off_conflicts, "WINDOW", BLOCK)
    off = TimeOff(owner_id=owner_id, start=EDGE, end=EDGE + 3 * BLOCK, id="f_1")
    events = [
        booking(n, EDGE + n * DAY, EDGE + n * DAY + HOUR, State.CONFIRMED, owner_id)
        for n in range(24)
    ]
    keeper = Keeper(Model(events))
    lacking: set[str] = set()

    def ask(ledger: Ledger) -> Conflicts:
        try:
            return conflicts_of(ledger, CATALOG, off, 0)
        except NotLoaded as found:
            lacking.update(found.needs.session_ids)
            raise

    with pytest.raises(TooManyBookings):
        keeper.query(ask)
    assert not lacking


def test_sessions_of_a_person_are_loaded_for_one_window_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_off_conflicts, "WINDOW", BLOCK)
    off = TimeOff(owner_id="t_1", start=EDGE, end=EDGE + 2 * BLOCK, id="f_1")
    events = [
        booking(n, start, start + HOUR, State.CONFIRMED, "t_1")
        for n, start in enumerate((EDGE, EDGE + DAY, EDGE + BLOCK))
    ]
    lacking: list[set[str]] = []

    def ask(ledger: Ledger) -> Conflicts:
        try:
            return conflicts_of(ledger, CATALOG, off, 0)
        except NotLoaded as found:
            lacking.append(found.needs.session_ids)
            raise

    assert Keeper(Model(events)).query(ask).total == 3
    assert [needs for needs in lacking if needs] == [{"x_0", "x_1"}, {"x_2"}]


def test_first_hundred_conflicts_are_named_and_all_are_counted() -> None:
    off = TimeOff(owner_id="l_1", start=EDGE, end=EDGE + DAY, id="f_1")
    events = [
        booking(number, EDGE + number, EDGE + HOUR, State.CONFIRMED, "l_1")
        for number in reversed(range(101))
    ]
    found = Keeper(Model(events)).query(lambda ledger: conflicts_of(ledger, CATALOG, off, 0))
    assert [made.hold_id for made in found.reservations] == [f"h_{n}" for n in range(100)]
    assert found.total == 101
