"""Many clients at one moment: nothing is sold twice, and nothing is refused that was left."""

import asyncio
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import aiohttp

from ..support.answers import Json, detail, refusal, refused
from ..support.program import HOLD_PATH, Zimun


async def at_once(
    zimun: Zimun, bodies: list[Json], headers: list[dict[str, str]]
) -> list[tuple[int, bytes, Any]]:
    """Posts every hold at the same moment, each on its own connection."""
    start = asyncio.Event()
    async with aiohttp.ClientSession(
        zimun.url, connector=aiohttp.TCPConnector(limit=0, force_close=True)
    ) as session:

        async def one(body: Json, header: dict[str, str]) -> tuple[int, bytes, Any]:
            await start.wait()
            async with session.post(HOLD_PATH, json=body, headers=header) as answer:
                content = await answer.read()
                return answer.status, content, await answer.json()

        tasks = [asyncio.create_task(one(*each)) for each in zip(bodies, headers, strict=True)]
        await asyncio.sleep(0)
        start.set()
        return await asyncio.gather(*tasks)


async def test_of_200_holds_of_a_slot_with_three_staff_exactly_three_succeed(
    zimun: Zimun, day: str
) -> None:
    time = f"{day}T12:00:00Z"
    body = {"service_id": "s_123", "appointment_time": time}
    answers = await at_once(zimun, [body] * 200, [zimun.headers()] * 200)

    assert Counter(status for status, _, _ in answers) == {200: 3, 409: 197}
    winners = [hold for status, _, hold in answers if status == 200]
    assert {hold["staff_id"] for hold in winners} == {"t_ada", "t_ben", "t_chloe"}
    assert {hold["start_time"] for hold in winners} == {time}
    assert time not in zimun.slots(day)
    offered = set()
    for status, _, error in answers:
        if status == 409:
            refusal(error, "ABORTED", "SLOT_UNAVAILABLE")
            slots = detail(error, "SlotAlternatives")["slots"]
            assert 1 <= len(slots) <= 3
            offered |= {slot["start_time"] for slot in slots}
    assert time not in offered
    for start in offered:
        assert zimun.hold(start)["start_time"] == start


async def test_one_key_sent_by_50_clients_at_once_makes_one_hold_and_one_answer(
    zimun: Zimun, day: str
) -> None:
    time = f"{day}T12:00:00Z"
    body = {"service_id": "s_123", "appointment_time": time}
    answers = await at_once(zimun, [body] * 50, [zimun.headers(key=f"fifty-{time}")] * 50)

    assert Counter(status for status, _, _ in answers) == {200: 50}
    assert len({content for _, content, _ in answers}) == 1
    hold = answers[0][2]
    assert zimun.free_staff(time) == {"t_ada", "t_ben", "t_chloe"} - {hold["staff_id"]}


async def test_a_key_is_one_clients_own(
    zimun: Zimun, other_client: tuple[str, str], day: str
) -> None:
    body = {"service_id": "s_123", "appointment_time": f"{day}T12:00:00Z"}
    theirs = zimun.token(credentials=other_client)
    headers = [zimun.headers(key="shared"), zimun.headers(theirs, "shared")] * 10
    answers = await at_once(zimun, [body] * 20, headers)
    assert Counter(status for status, _, _ in answers) == {200: 20}
    assert len({content for _, content, _ in answers}) == 2


async def test_holds_that_overlap_never_share_a_staff_member_or_a_room(
    zimun: Zimun, near_day: str
) -> None:
    # A treatment lasts an hour, takes one of two people and one of two rooms,
    # and both are busy for a quarter of an hour after it. Before 13:00 consultations
    # compete for the people; from 14:00 on nothing does, so each person and room gets work.
    starts = [
        f"{near_day}T{hour}:{minute}:00Z"
        for hour in (10, 11, 12, 14, 15)
        for minute in ("00", "15", "30", "45")
    ]
    bodies = [{"service_id": "s_treatment", "appointment_time": start} for start in starts] * 8
    bodies += [
        {"service_id": "s_123", "appointment_time": f"{near_day}T{hour}:00Z"}
        for hour in ("10:00", "10:30", "11:00", "11:30", "12:00", "12:30")
    ] * 8
    random.Random(7).shuffle(bodies)
    answers = await at_once(zimun, bodies, [zimun.headers()] * len(bodies))

    assert {status for status, _, _ in answers} == {200, 409}
    busy: dict[str, list[tuple[int, int]]] = {}
    for status, _, hold in answers:
        if status == 200:
            after = 15 if hold["service_id"] == "s_treatment" else 0
            ends = minutes(hold["end_time"]) + after
            for subject in (hold["staff_id"], *hold["resource_ids"]):
                busy.setdefault(subject, []).append((minutes(hold["start_time"]), ends))
        else:
            refusal(hold, "ABORTED", "SLOT_UNAVAILABLE")
    assert set(busy) == {"t_ada", "t_ben", "t_chloe", "r_room_1", "r_room_2"}
    for subject, spans in busy.items():
        spans.sort()
        for (_, end), (start, _) in pairwise(spans):
            assert end <= start, f"{subject} is sold twice: {spans}"


def minutes(time: str) -> int:
    """Minutes since midnight of an RFC 3339 time."""
    return int(time[11:13]) * 60 + int(time[14:16])


async def test_a_class_is_never_overbooked_and_never_refuses_a_seat_it_has(
    zimun: Zimun, near_day: str
) -> None:
    time = f"{near_day}T14:00:00Z"
    dice = random.Random(11)
    wanted = [dice.choice((1, 2, 3)) for _ in range(100)]
    body = {"service_id": "s_yoga", "appointment_time": time}
    answers = await at_once(
        zimun, [{**body, "seats": seats} for seats in wanted], [zimun.headers()] * 100
    )

    assert {status for status, _, _ in answers} == {200, 409}
    taken = sum(hold["seats"] for status, _, hold in answers if status == 200)
    assert taken <= 8
    refusals = [
        seats for seats, (status, _, _) in zip(wanted, answers, strict=True) if status == 409
    ]
    # Seats only became fewer, so what was refused must not fit even now.
    assert min(refusals) > 8 - taken
    assert taken == 8  # as somebody asked for a single seat
    assert time not in zimun.slots(near_day, "s_yoga")


async def test_the_seats_that_are_left_can_be_held_exactly(zimun: Zimun, near_day: str) -> None:
    time = f"{near_day}T14:00:00Z"
    body = {"service_id": "s_yoga", "appointment_time": time, "seats": 3}
    answers = await at_once(zimun, [body] * 100, [zimun.headers()] * 100)
    assert Counter(status for status, _, _ in answers) == {200: 2, 409: 98}

    assert zimun.slots(near_day, "s_yoga")[time]["seats_left"] == 2
    assert time not in zimun.slots(near_day, "s_yoga", seats=3)
    refused(zimun.try_hold(time, "s_yoga", seats=3), 409, "ABORTED", "SLOT_UNAVAILABLE")
    assert zimun.hold(time, "s_yoga", seats=2)["seats"] == 2
    refused(zimun.try_hold(time, "s_yoga"), 409, "ABORTED", "SLOT_UNAVAILABLE")
    # One class, one teacher: she is not also free for a consultation.
    assert zimun.free_staff(time) == {"t_ada", "t_ben"}


async def test_one_appointment_cancelled_by_many_at_once_is_cancelled_once(
    zimun: Zimun, time: str
) -> None:
    appointment = zimun.book(time)
    body = {"appointment_id": appointment["appointment_id"]}
    async with aiohttp.ClientSession(zimun.url) as session:

        async def cancel() -> Any:
            async with session.post(
                "/api/v1/appointments/cancel", json=body, headers=zimun.headers()
            ) as answer:
                assert answer.status == 200
                return await answer.json()

        answers = await asyncio.gather(*(cancel() for _ in range(30)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["state"] == "CANCELLED"


async def test_appointments_that_race_for_one_slot_leave_the_losers_where_they_were(
    zimun: Zimun, day: str
) -> None:
    goal = f"{day}T15:00:00Z"
    booked = [zimun.book(f"{day}T{hour:02}:00:00Z") for hour in (9, 9, 10, 10, 11, 11, 12, 12)]
    async with aiohttp.ClientSession(zimun.url) as session:

        async def move(appointment: Json) -> tuple[int, Any]:
            body = {"appointment_id": appointment["appointment_id"], "start_time": goal}
            async with session.post(
                "/api/v1/appointments/reschedule", json=body, headers=zimun.headers()
            ) as answer:
                return answer.status, await answer.json()

        answers = await asyncio.gather(*map(move, booked))
    assert Counter(status for status, _ in answers) == {200: 3, 409: 5}
    for before, (status, answer) in zip(booked, answers, strict=True):
        now = zimun.appointment(before["appointment_id"])
        assert now == (answer if status == 200 else before)
