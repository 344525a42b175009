"""How many holds there are now, over all organizations."""

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from zimun.storage.schema import IS_HELD, reservations


class HoldCounts(NamedTuple):
    """Live holds, and expired ones whose expiry is not recorded yet."""

    live: int
    overdue: int


def count_holds(connection: Connection, now: int) -> HoldCounts:
    """Count holds by the index of expiry, which has held reservations alone."""
    held = select(func.count()).select_from(reservations).where(IS_HELD)
    overdue = connection.execute(held.where(reservations.c.expires_at <= now)).scalar_one()
    return HoldCounts(connection.execute(held).scalar_one() - overdue, overdue)
