"""The offset of the booking clock, which every process on a database shares: 0 but in a sandbox."""

from sqlalchemy import Connection, delete, insert, select

from zimun.storage.schema import installation

CLOCK_OFFSET = "clock_offset"
"""Name of the row of `installation` that has it, in microseconds; without the row it is 0."""


def read_clock_offset(connection: Connection) -> int:
    """The offset from the machine's clock, in microseconds."""
    query = select(installation.c.value).where(installation.c.name == CLOCK_OFFSET)
    value = connection.execute(query).scalar()
    return int(value) if value else 0


def write_clock_offset(connection: Connection, offset: int) -> None:
    """Set the offset from the machine's clock, in microseconds."""
    connection.execute(delete(installation).where(installation.c.name == CLOCK_OFFSET))
    if offset:
        value = str(offset).encode()
        connection.execute(insert(installation).values(name=CLOCK_OFFSET, value=value))
