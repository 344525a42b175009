"""kill -9 while SQLite's store writes: whatever was answered is there, and everything agrees."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from zimun.clock import ManualClock
from zimun.domain.booking_errors import SlotUnavailable
from zimun.domain.ledger.reservation import State

from .booking_client import BookingClient, decode_reservation
from .engines import SqliteEngine
from .ledger_check import check_ledger, reservations_of
from .sample_catalog import KIOSK, NOW, at, create_salon

WORKERS = 16


def start_of(number: int) -> int:
    return at(24) + number * KIOSK.duration


async def load(directory: Path) -> None:
    """Hold and confirm as fast as it goes, telling of each answer on a line of its own."""
    async with SqliteEngine(directory).open() as stores:
        client = BookingClient(stores, ManualClock(NOW))

        async def work(number: int) -> None:
            while True:
                answer = await client.hold_bytes(start_of(number), KIOSK.id, key=f"key {number}")
                hold_id = decode_reservation(answer).hold_id
                os.write(1, f"HELD {number} {hold_id} -\n".encode())
                if number % 3:
                    found = await client.confirm(hold_id)
                    line = f"CONFIRMED {number} {hold_id} {found.appointment_id}\n"
                    os.write(1, line.encode())
                number += WORKERS

        await asyncio.gather(*(work(number) for number in range(WORKERS)))


def killed_under_load(directory: Path, enough: int) -> list[list[str]]:
    """What a process told of before it was killed, once it had told of enough."""
    program = f"import asyncio, pathlib; from {__name__} import load; "
    program += f"asyncio.run(load(pathlib.Path({str(directory)!r})))"
    root = Path(__file__).parents[__name__.count(".")]
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(enough)]
        process.kill()
        told += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return [line.decode().split() for line in told if line.endswith(b"\n")]


@pytest.mark.parametrize("enough", [40, 400])
async def test_every_answered_command_survives_kill_9_and_the_ledger_is_legal(
    sqlite_engine: SqliteEngine, enough: int
) -> None:
    async with sqlite_engine.open() as stores:
        await create_salon(stores)
    answered = killed_under_load(sqlite_engine.path.parent, enough)
    assert len(answered) >= enough

    with closing(sqlite3.connect(sqlite_engine.path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tables = sqlite_engine.tables()
    check_ledger(tables, NOW)
    kept = reservations_of(tables)
    for state, _, hold_id, appointment_id in answered:
        if state == "CONFIRMED":
            assert kept[hold_id].state is State.CONFIRMED
            assert kept[hold_id].appointment_id == appointment_id
        else:
            assert kept[hold_id].state in (State.HELD, State.CONFIRMED)

    # It serves on: keys have their answers, what is taken is refused, holds can be confirmed.
    async with sqlite_engine.open() as stores:
        client = BookingClient(stores, ManualClock(NOW))
        for state, number, hold_id, _ in answered:
            start = start_of(int(number))
            if state == "HELD":
                answer = await client.hold_bytes(start, KIOSK.id, key=f"key {number}")
                assert decode_reservation(answer).hold_id == hold_id
        with pytest.raises(SlotUnavailable):
            await client.hold(start, KIOSK.id)
        held = next(found for found in kept.values() if found.state is State.HELD)
        assert (await client.confirm(held.hold_id)).state is State.CONFIRMED
    check_ledger(sqlite_engine.tables(), NOW)
