"""Killed in the middle of its work, it has kept every promise it had made."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any

import aiohttp

from ..support.answers import Json
from ..support.processes import alive, listens, until
from ..support.program import Zimun
from ..support.times import half_hours, workdays

CONTACT = {"contact_name": "Dana Lee", "contact_email": "dana@example.com"}


@dataclass
class Answered:
    """What a client was told before the end: request, key and answer."""

    holds: list[tuple[Json, str, bytes]] = field(default_factory=list)
    confirmed: list[tuple[Json, str, bytes]] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: int = 0
    killed: bool = False

    def confirm(self, body: Json, key: str, content: bytes) -> None:
        self.confirmed.append((body, key, content))
        if len(self.confirmed) >= self.wanted:
            self.enough.set()


async def work(zimun: Zimun, session: aiohttp.ClientSession, times: Any, told: Answered) -> None:
    """Holds and confirms until the connection breaks."""

    async def post(path: str, body: Json, key: str) -> bytes:
        headers = zimun.headers(key=key)
        async with session.post(f"/api/v1/appointments/{path}", json=body, headers=headers) as got:
            content = await got.read()
            # An Envoy that outlives the server by a moment says that the answer is lost.
            if told.killed and got.status in {502, 503}:
                raise ConnectionResetError
            assert got.status == 200, content
            return content

    for time in times:
        hold_body = {"service_id": "s_123", "appointment_time": time}
        key = f"crash-{time}-{id(session)}"
        try:
            content = await post("hold", hold_body, key)
            told.holds.append((hold_body, key, content))
            confirm_body = {"hold_id": decoded(content)["hold_id"], **CONTACT}
            content = await post("confirm", confirm_body, key)
            told.confirm(confirm_body, key, content)
        except (aiohttp.ClientError, OSError):
            return


def decoded(content: bytes) -> Json:
    found: Json = json.loads(content)
    return found


async def load_and_kill(zimun: Zimun, workers: int, enough: int) -> Answered:
    """Kills the program once so many appointments are confirmed, the workers at full speed."""
    told = Answered(wanted=enough)
    everything = iter(
        [t for day in islice(workdays(date(2026, 1, 5)), 90) for t in half_hours(day)]
    )
    zimun.token()
    async with aiohttp.ClientSession(zimun.url) as session:
        tasks = [
            asyncio.create_task(work(zimun, session, everything, told)) for _ in range(workers)
        ]
        await asyncio.wait_for(told.enough.wait(), 20)
        told.killed = True
        zimun.process.kill()
        await asyncio.gather(*tasks)
    zimun.process.wait(10)
    assert len(told.confirmed) >= enough
    return told


async def test_every_answered_write_survives_kill_9(new_program: Callable[..., Zimun]) -> None:
    zimun = new_program().start()
    envoy = zimun.envoy()
    told = await load_and_kill(zimun, workers=12, enough=150)

    # Envoy dies with it, and both ports are free again.
    until("Envoy to die with the server", lambda: not alive(envoy))
    until("its ports to be free", lambda: not listens(zimun.port) and not listens(zimun.grpc_port))

    zimun.start(now="2025-11-28T09:02:00Z")
    for body, _, content in told.confirmed:
        appointment = decoded(content)
        assert zimun.appointment(appointment["appointment_id"]) == appointment
        assert zimun.confirm(body) == appointment
    for what, answered in (("hold", told.holds), ("confirm", told.confirmed)):
        for body, key, content in answered:
            again = zimun.post(f"/api/v1/appointments/{what}", body, key=key)
            assert (again.status_code, again.content) == (200, content)

    # A hold that was answered but not confirmed still is a hold.
    confirmed = {body["hold_id"] for body, _, _ in told.confirmed}
    for _, _, content in told.holds:
        hold = decoded(content)
        if hold["hold_id"] not in confirmed:
            assert zimun.confirm(hold)["staff_id"] == hold["staff_id"]

    # Nobody has two appointments at a time, and each can be cancelled as ever.
    items = zimun.get_json(
        "/api/v1/appointments", page_size=1000, start_time_from="2026-01-01T00:00:00Z"
    )
    taken = [(one["staff_id"], one["start_time"]) for one in items["items"]]
    assert len(taken) == len(set(taken)) >= len(told.holds)
    zimun.stop()
