"""What the doctor learns of a database server."""

from zimun import doctor
from zimun.storage.inspection import examine
from zimun.storage.migrate import migrate
from zimun.storage.urls import database_url

from ..support.postgres import shared


async def test_settings_of_a_database_server_that_lose_data_are_failures() -> None:
    server, _ = shared()
    url = server.url(server.create())
    named = database_url(url, server.directory)
    assert (await examine(named)).revision is None
    migrate(named)
    found = await examine(named)
    assert found.engine == "PostgreSQL"
    assert found.revision == found.newest_revision
    assert abs(found.ahead) < 1
    assert int(found.settings["max_connections"]) > 0
    told = [str(one) async for one in doctor.examine_all({"ZIMUN_DATABASE_URL": url}, False, {})]
    # The tests' server gives up durability for speed, and the doctor does not miss it.
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        lost = found.settings[setting] == "off"
        assert any(f"failure  database: {setting} is off" in line for line in told) == lost
    assert found.settings["fsync"] == "off"
