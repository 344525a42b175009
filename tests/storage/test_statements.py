"""What every statement on PostgreSQL must be: within one organization, its key left alone.

The statements are those that the server recorded in the whole run: of this
suite, of the suite of calls, and of every other that uses the shared server. So
`conftest` has this module's last test run after all others.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from zimun.storage.changes import PARTS

from ..support.postgres import statements
from .engines import PostgresqlEngine
from .every_statement import run_every_statement
from .organization_scope import OF_ORGANIZATIONS, faults

LEGAL: Mapping[str, str] = {
    "parameter": "SELECT seq FROM events WHERE events.org_id = $1 AND seq > $2",
    "cast": "SELECT seq FROM events WHERE org_id = $1::TEXT",
    "constant": "SELECT seq FROM events WHERE 'o_1' = org_id",
    "any of an array": "SELECT seq FROM ledgers WHERE org_id = ANY($1::text[]) ORDER BY org_id",
    "list": "SELECT seq FROM ledgers WHERE org_id IN ($1, $2)",
    "join": "SELECT 1 FROM reservations AS r JOIN allocations AS a ON a.org_id = $1 "
    "AND a.session_id = r.session_id WHERE r.org_id = $1",
    "outer join": "SELECT 1 FROM reservations LEFT OUTER JOIN sessions ON sessions.org_id = $1 "
    "AND sessions.session_id = reservations.session_id WHERE reservations.org_id = $1",
    "subquery": "SELECT 1 FROM events WHERE org_id = $1 AND seq > "
    "(SELECT seq FROM ledgers WHERE org_id = $1)",
    "values": "INSERT INTO services (org_id, id) VALUES ($1, $2)",
    "upsert": "INSERT INTO services (org_id, id, name) VALUES ($1, $2, $3) "
    "ON CONFLICT (org_id, id) DO UPDATE SET name = excluded.name",
    "arrays": "INSERT INTO events (org_id, seq) SELECT u.org_id, u.seq::bigint "
    "FROM unnest($1::text[], $2::text[]) AS u(org_id, seq)",
    "update": "UPDATE ledgers SET seq = $2 WHERE org_id = $1",
    "update from arrays": "UPDATE sessions AS t SET seats_taken = u.seats::bigint "
    "FROM unnest($2::text[], $3::text[]) AS u(session_id, seats) "
    "WHERE t.org_id = $1::text AND t.session_id = u.session_id",
    "other table": "SELECT pem FROM signing_keys",
    "client": "SELECT org_id FROM clients WHERE client_id = $1",
}

PLANTED: Mapping[str, str] = {
    "no condition": "SELECT seq FROM events",
    "another column": "SELECT seq FROM events WHERE seq > $1",
    "another comparison": "SELECT seq FROM events WHERE org_id > $1",
    "either": "SELECT seq FROM events WHERE org_id = $1 OR seq = $2",
    "not": "SELECT seq FROM events WHERE NOT org_id = $1",
    "column of another table": "SELECT 1 FROM reservations AS r "
    "JOIN allocations AS a ON a.org_id = r.org_id WHERE r.org_id = $1",
    "joined without": "SELECT 1 FROM reservations JOIN sessions "
    "ON sessions.session_id = reservations.session_id WHERE reservations.org_id = $1",
    "comma": "SELECT 1 FROM reservations, sessions WHERE reservations.org_id = $1",
    "which one": "SELECT 1 FROM reservations, signing_keys WHERE org_id = $1",
    "subquery": "SELECT 1 FROM events WHERE org_id = $1 AND seq > (SELECT max(seq) FROM ledgers)",
    "correlated": "SELECT 1 FROM events AS e WHERE e.org_id = $1 "
    "AND EXISTS (SELECT 1 FROM ledgers AS l WHERE l.org_id = e.org_id)",
    "with": "WITH a AS (SELECT * FROM ledgers) SELECT * FROM a WHERE org_id = $1",
    "union": "SELECT seq FROM ledgers WHERE org_id = $1 UNION ALL SELECT seq FROM events",
    "delete": "DELETE FROM idempotency WHERE expires_at < $1",
    "delete using": "DELETE FROM sessions AS t USING reservations AS r "
    "WHERE t.org_id = $1 AND r.session_id = t.session_id",
    "update": "UPDATE ledgers SET seq = $1",
    "update from": "UPDATE sessions AS t SET seats_taken = 0 FROM ledgers AS l WHERE t.org_id = $1",
    "in a write": "WITH m AS (UPDATE ledgers SET seq = $1 RETURNING org_id) SELECT org_id FROM m",
    "insert of a select": "INSERT INTO events (org_id, seq) "
    "SELECT org_id, seq FROM ledgers WHERE org_id = $1",
    "insert without": "INSERT INTO services (id) VALUES ($1)",
    "sets the organization": "UPDATE services SET org_id = $1, name = $3 WHERE org_id = $2",
    "sets a key": "UPDATE events SET seq = seq + 1 WHERE org_id = $1",
    "upsert of a key": "INSERT INTO services (org_id, id) VALUES ($1, $2) "
    "ON CONFLICT (org_id, id) DO UPDATE SET id = excluded.id",
}

EXEMPT: Mapping[str, str] = {
    r"^SELECT reservations\.org_id, reservations\.hold_id FROM reservations "
    r"WHERE state = \S+ AND reservations\.expires_at <= ": "what has expired is found at once, "
    "by an index of the instant (expired_holds)",
    r"^SELECT idempotency\.org_id, .* FROM idempotency WHERE idempotency\.expires_at <= \S+ "
    r"ORDER BY": "as are the responses whose lifetime is over (responses_over)",
    r"^SELECT organizations\.org_id FROM organizations WHERE organizations\.contact_retention > ": (
        "those that keep contacts for a time are found at once (organizations_with_retention)"
    ),
    r"^SELECT ledgers\.org_id FROM ledgers$": "pruning goes through all (organization_ids)",
    r"^SELECT max\(ledgers\.time\) AS \w+ FROM ledgers$": "zimun doctor compares the clock",
    r"^SELECT overrides\.org_id, overrides\.owner_id, overrides\.date FROM overrides$": (
        "migration 0002"
    ),
    r"\bFROM events_0004\b": "migration 0005",
    r"^INSERT INTO ledgers .* FROM organizations AS o$": "migration 0005",
    r"^UPDATE reservations SET contact_key = lower\(contact_email\) WHERE contact_email != \S+$": (
        "migration 0008"
    ),
    r"^SELECT org_id, hold_id, contact_email FROM reservations "
    r"WHERE length\(contact_email\) != octet_length\(contact_email\)$": "migration 0008",
    r"^DELETE FROM allocations WHERE subject LIKE \S+ AND subject NOT LIKE \S+$": "migration 0007",
    r"^INSERT INTO allocations .* SELECT a\.org_id, a\.subject \|\| \S+ \|\| r\.location_id": (
        "migration 0007"
    ),
    r"^\w+ /\* set-up of a test \*/ ": "set-up of a test",
}
"""Statements that may go beyond an organization, and why."""


def is_exempt(sql: str) -> bool:
    return any(re.search(pattern, sql) for pattern in EXEMPT)


def check(recorded: list[str]) -> dict[str, list[str]]:
    """The statements with faults, and these."""
    texts = [" ".join(sql.split()) for sql in recorded]
    ours = [sql for sql in texts if re.search(rf"\b({'|'.join(OF_ORGANIZATIONS)})\b", sql)]
    return {sql: found for sql in ours if not is_exempt(sql) and (found := faults(sql))}


@pytest.mark.parametrize("sql", LEGAL.values(), ids=LEGAL)
def test_statement_within_an_organization_has_no_fault(sql: str) -> None:
    assert faults(sql) == []


@pytest.mark.parametrize("sql", PLANTED.values(), ids=PLANTED)
def test_statement_beyond_an_organization_or_that_sets_a_key_has_a_fault(sql: str) -> None:
    assert faults(sql) != []
    assert check([sql]) != {}


async def test_every_statement_of_this_run_stays_within_one_organization(tmp_path: Path) -> None:
    async with PostgresqlEngine(tmp_path).open() as stores:
        await run_every_statement(stores.ledgers)
    recorded = statements()
    for table in OF_ORGANIZATIONS:
        assert any(re.search(rf"\b{table}\b", sql) for sql in recorded), table
    for name in PARTS:
        assert any(f"write_{name} AS" in sql for sql in recorded), name
    assert check(recorded) == {}
