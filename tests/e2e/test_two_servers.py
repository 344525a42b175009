"""Two servers on one database: what one changes is at the other at once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from ..support.program import DEMO_STAFF
from ..support.server import Caller, Server, Site, outcome, starts


@pytest.fixture(scope="module")
def pair(
    demo_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Caller, Caller]]:
    """A caller at each of two servers: use your own `times` there."""
    site = demo_site.copy(tmp_path_factory.mktemp("pair") / "site")
    one, other = Server(site), Server(site)
    with closing(one), closing(other):
        for server in (one, other):
            server.spawn()
        with one.wait_ready().caller() as at_one, other.wait_ready().caller() as at_other:
            yield at_one, at_other
        one.stop()
        other.stop()


@pytest.fixture(scope="module")
def times(pair: tuple[Caller, Caller]) -> Iterator[str]:
    """Starts of s_123 that nobody has used."""
    return starts()


def test_a_change_of_the_catalogue_is_in_the_next_answer_of_the_other_server(
    pair: tuple[Caller, Caller],
) -> None:
    assert [caller.services()[0].name for caller in pair] == ["Consultation"] * 2
    for number in range(50):
        writer, reader = pair[number % 2], pair[(number + 1) % 2]
        writer.rename(f"Name {number}")
        assert reader.services()[0].name == f"Name {number}"


def test_a_hold_at_one_server_is_busy_at_the_other_at_once(
    pair: tuple[Caller, Caller], times: Iterator[str]
) -> None:
    for number in range(10):
        time = next(times)
        left = set(DEMO_STAFF)
        for turn in range(3):
            writer, reader = pair[(number + turn) % 2], pair[(number + turn + 1) % 2]
            left -= {writer.hold(time).staff_id}
            assert reader.free_staff(time) == left
        assert not left
        assert outcome(pair[number % 2].begin_hold(time)) == ("ABORTED", "SLOT_UNAVAILABLE")


def test_one_key_at_both_servers_has_one_effect(
    pair: tuple[Caller, Caller], times: Iterator[str]
) -> None:
    one, other = pair
    time, another_time = next(times), next(times)
    held = one.hold(time, key="one after the other")
    assert other.hold(time, key="one after the other") == held
    assert one.free_staff(time) == other.free_staff(time) == DEMO_STAFF - {held.staff_id}
    # The same of another request is refused, wherever it comes.
    again = other.begin_hold(another_time, key="one after the other")
    assert outcome(again) == ("ALREADY_EXISTS", "IDEMPOTENCY_KEY_REUSED")


def test_one_key_at_both_servers_at_the_same_moment_has_one_effect(
    pair: tuple[Caller, Caller], times: Iterator[str]
) -> None:
    for number in range(10):
        time = next(times)
        calls = [caller.begin_hold(time, key=f"at once {number}") for caller in pair * 5]
        assert Counter(outcome(call) for call in calls) == {("OK", ""): 10}
        [hold_id] = {call.result().hold_id for call in calls}
        assert hold_id
        assert len(pair[0].free_staff(time)) == 2
