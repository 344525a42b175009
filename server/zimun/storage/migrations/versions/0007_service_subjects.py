"""A service that needs neither staff nor resources is taken at each location apart.

Its allocations have the subject `service@location` instead of `service`. A
server of an earlier version that still runs would take the service without its
location: the database refuses that.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

# SQLite lets no allocation be updated, so they are made anew.
_INSERT = (
    "INSERT INTO allocations (org_id, subject, busy_start, busy_end, start_time, session_id, "
    "expires_at, booked_at) "
    "SELECT a.org_id, a.subject || '@' || r.location_id, a.busy_start, a.busy_end, a.start_time, "
    "a.session_id, a.expires_at, a.booked_at FROM allocations AS a JOIN ("
    "SELECT DISTINCT org_id, session_id, service_id, location_id FROM reservations "
    "WHERE state IN ('HELD', 'CONFIRMED')) AS r "
    "ON r.org_id = a.org_id AND r.session_id = a.session_id AND r.service_id = a.subject"
)

_SQLITE = (
    "DELETE FROM allocations WHERE subject GLOB 's_*' AND subject NOT GLOB '*@*'",
    "CREATE TRIGGER allocations_name_a_location BEFORE INSERT ON allocations "
    "WHEN NEW.subject GLOB 's_*' AND NEW.subject NOT GLOB '*@*' "
    "BEGIN SELECT RAISE(ABORT, 'a service is taken at a location'); END",
)

_POSTGRESQL = (
    "DELETE FROM allocations WHERE subject LIKE 's\\_%' AND subject NOT LIKE '%@%'",
    "ALTER TABLE allocations ADD CONSTRAINT allocations_name_a_location "
    "CHECK (subject NOT LIKE 's\\_%' OR subject LIKE '%@%')",
)

_CONSTRAINTS = {"postgresql": _POSTGRESQL, "sqlite": _SQLITE}


def upgrade() -> None:
    op.execute(_INSERT)
    for statement in _CONSTRAINTS[op.get_bind().dialect.name]:
        op.execute(statement)
