"""Whom and what a hold takes: fairness, sessions, and the matching of resources."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from zimun.domain.availability.assignment import choose, match, unmet
from zimun.domain.availability.slots import Choice, Session, Slot

from ...support.profiles import examples
from .build import session
from .oracle_obstacles import max_requirements_met

staff = st.permutations(["t_1", "t_2", "t_3", "t_4"]).flatmap(
    lambda ids: st.integers(1, 4).map(lambda n: tuple(ids[:n]))
)
loads = st.dictionaries(
    st.sampled_from(["t_1", "t_2", "t_3", "t_4"]), st.tuples(st.integers(0, 2), st.integers(0, 2))
)


def slot(staff_ids: tuple[str, ...] = (), *joinable: Session, is_new: bool = True) -> Slot:
    return Slot(0, 1, staff_ids, 4, ("r_1",) if is_new else None, joinable)


def test_the_fewest_bookings_that_day_come_first() -> None:
    load = {"t_1": (2, 10), "t_2": (1, 99)}
    assert choose(slot(("t_1", "t_2")), load) == Choice("t_2", ("r_1",))


def test_among_equals_the_longest_unused_comes_first() -> None:
    load = {"t_1": (1, 20), "t_2": (1, 10), "t_3": (1, 30)}
    assert choose(slot(("t_1", "t_2", "t_3")), load).staff_id == "t_2"


def test_among_those_alike_the_services_list_decides() -> None:
    assert choose(slot(("t_2", "t_1")), {"t_1": (1, 5), "t_2": (1, 5)}).staff_id == "t_2"
    assert choose(slot(("t_3", "t_1")), {}).staff_id == "t_3"


def test_who_was_never_booked_comes_before_who_was() -> None:
    assert choose(slot(("t_1", "t_2")), {"t_1": (0, 7)}).staff_id == "t_2"
    assert choose(slot(("t_1", "t_2")), {"t_1": (0, 0)}).staff_id == "t_1"


def test_a_service_without_staff_takes_no_member() -> None:
    assert choose(slot(), {}) == Choice("", ("r_1",))


@examples(300)
@given(staff, loads)
def test_no_free_member_is_passed_over_for_a_busier_one(
    staff_ids: tuple[str, ...], load: dict[str, tuple[int, int]]
) -> None:
    chosen = choose(slot(staff_ids), load).staff_id
    assert chosen in staff_ids
    rank = {one: (*load.get(one, (0, 0)), staff_ids.index(one)) for one in staff_ids}
    assert all(rank[chosen] <= rank[other] for other in staff_ids)


def test_the_fullest_session_with_room_is_joined_with_its_people_and_things() -> None:
    sessions = [
        session(session_id=f"x_{taken}", staff_id="t_1", resource_ids=("r_2",), seats_taken=taken)
        for taken in (1, 3, 2)
    ]
    for is_new in (True, False):
        found = choose(slot(("t_1", "t_2"), *sessions, is_new=is_new), {"t_1": (9, 9)})
        assert found == Choice("t_1", ("r_2",), "x_3")


@examples(200)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_no_fuller_session_is_passed_over_and_the_order_of_sessions_does_not_matter(
    seats: list[int],
) -> None:
    sessions = [session(session_id=f"x_{n}", seats_taken=taken) for n, taken in enumerate(seats)]
    found = choose(slot((), *sessions), {})
    (joined,) = (one for one in sessions if one.session_id == found.session_id)
    assert joined.seats_taken == max(seats)
    assert choose(slot((), *reversed(sessions)), {}) == found


@examples(1000)
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=4, unique=True), max_size=5))
def test_a_match_is_found_exactly_when_some_assignment_has_no_option_twice(
    options: list[list[str]],
) -> None:
    possible = [chosen for chosen in product(*options) if len(set(chosen)) == len(chosen)]
    found = match(options)
    assert found in possible if possible else found is None


def test_a_requirement_gives_way_when_it_has_another_option() -> None:
    assert match([["a", "b"], ["b", "c"], ["a"]]) == ("b", "c", "a")


def test_no_requirements_are_met_by_nothing() -> None:
    assert match([]) == ()
    assert match([[]]) is None


@examples(300)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=3, unique=True), max_size=4))
def test_unmet_requirements_are_those_that_one_more_option_could_help(
    options: list[list[str]],
) -> None:
    requirements, names = tuple(map(tuple, options)), frozenset({*"abc", "new"})
    met = max_requirements_met(requirements, names)
    helped = [
        n
        for n, own in enumerate(requirements)
        if max_requirements_met((*requirements[:n], (*own, "new"), *requirements[n + 1 :]), names)
        > met
    ]
    assert unmet(options) == helped
