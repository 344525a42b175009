"""What the clock does to a hold. It cannot be moved from outside: so the program is stopped
and started again on the same data, later."""

from collections.abc import Callable

from ..support.answers import refused
from ..support.program import CONFIRM_PATH, Zimun
from ..support.times import instant, later

TIME = "2025-12-01T10:00:00Z"


def test_a_hold_can_be_extended_for_thirty_minutes_and_then_expires(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    hold = zimun.hold(TIME)
    which, made = {"hold_id": hold["hold_id"]}, hold["create_time"]

    for minutes in (9, 18):
        zimun.stop()
        zimun.start(now=later(made, minutes=minutes))
        extended = zimun.post_json("/api/v1/holds/extend", **which)
        # Ten minutes from now, and now is a moment after the start.
        expires = instant(extended["expires_at"])
        assert instant(later(made, minutes=minutes + 10)) <= expires
        assert expires < instant(later(made, minutes=minutes + 11))

    zimun.stop()
    zimun.start(now=later(made, minutes=27))
    extended = zimun.post_json("/api/v1/holds/extend", **which)
    assert extended["expires_at"] == later(made, minutes=30)
    answer = zimun.post("/api/v1/holds/extend", which)
    metadata = refused(answer, 400, "FAILED_PRECONDITION", "HOLD_LIMIT_REACHED")
    assert metadata == {**which, "limit": later(made, minutes=30)}
    assert len(zimun.free_staff(TIME)) == 2

    zimun.stop()
    zimun.start(now=later(made, minutes=30))
    contact = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}
    for answer in (
        zimun.post(CONFIRM_PATH, {**which, **contact}),
        zimun.post("/api/v1/holds/extend", which),
    ):
        metadata = refused(answer, 400, "FAILED_PRECONDITION", "HOLD_EXPIRED")
        assert metadata == {**which, "expires_at": later(made, minutes=30)}
    released = zimun.post_json("/api/v1/holds/release", **which)
    assert released == {**extended, "state": "EXPIRED"}
    # The slot is offered again, to everybody, and to the one it was kept from.
    assert len(zimun.free_staff(TIME)) == 3
    assert zimun.hold(TIME, staff_id=hold["staff_id"])["hold_id"] != hold["hold_id"]
    zimun.stop()


def test_a_slot_is_free_at_the_very_moment_its_holds_expire(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program().start()
    holds = [zimun.hold(TIME) for _ in range(3)]
    last = max(hold["expires_at"] for hold in holds)

    zimun.stop()
    zimun.start(now=later(last, minutes=-5))
    refused(zimun.try_hold(TIME), 409, "ABORTED", "SLOT_UNAVAILABLE")
    kept = zimun.confirm(holds[0])

    zimun.stop()
    zimun.start(now=last)
    assert zimun.free_staff(TIME) == {"t_ada", "t_ben", "t_chloe"} - {kept["staff_id"]}
    assert zimun.hold(TIME)["state"] == "HELD"
    assert zimun.hold(TIME)["state"] == "HELD"
    refused(zimun.try_hold(TIME), 409, "ABORTED", "SLOT_UNAVAILABLE")
    # What was confirmed in time stands, and is found again.
    assert zimun.confirm(holds[0]) == kept
    assert zimun.appointment(kept["appointment_id"]) == kept
    zimun.stop()


def test_an_appointment_that_has_passed_cannot_be_booked_over(
    new_program: Callable[..., Zimun],
) -> None:
    zimun = new_program(now="2025-12-01T16:00:00Z").start()
    today = zimun.slots("2025-12-01")
    assert list(today) == ["2025-12-01T16:30:00Z"]
    metadata = refused(
        zimun.try_hold("2025-12-01T15:30:00Z"), 400, "FAILED_PRECONDITION", "OUTSIDE_BOOKING_WINDOW"
    )
    assert instant(metadata["opens"]) > instant("2025-12-01T16:00:00Z")
    # The demo's appointment is on the next business day of this clock.
    assert zimun.appointment("a_123")["start_time"] == "2025-12-02T15:00:00Z"
    assert zimun.hold("2025-12-01T16:30:00Z")["state"] == "HELD"
    zimun.stop()
