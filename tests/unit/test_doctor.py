"""`zimun doctor` on installations that are complete, new, and broken in one way each."""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zimun import app, doctor
from zimun.booking.catalog import CreateOrganization
from zimun.clock import WallClock
from zimun.config import Settings
from zimun.domain.catalog.entries import Organization
from zimun.domain.instant import HOUR
from zimun.storage.clock_offset import write_clock_offset

from ..support.processes import free_port


async def findings(environ: dict[str, str], running: bool = False) -> list[doctor.Finding]:
    return [one async for one in doctor.examine_all(environ, running, {})]


async def failures(environ: dict[str, str], running: bool = False) -> list[str]:
    found = await findings(environ, running)
    return [str(one) for one in found if one.level == "failure"]


def told(found: list[doctor.Finding], subject: str) -> str:
    return "\n".join(str(one) for one in found if one.subject == subject)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    ports = {
        name: str(free_port()) for name in ("ZIMUN_GRPC_PORT", "ZIMUN_AUTH_PORT", "ZIMUN_PORT")
    }
    return {"ZIMUN_DATA_DIR": str(tmp_path / "data")} | ports


@pytest.fixture
def served(environ: dict[str, str]) -> Settings:
    return Settings(
        data_dir=Path(environ["ZIMUN_DATA_DIR"]),
        grpc_port=int(environ["ZIMUN_GRPC_PORT"]),
        auth_port=int(environ["ZIMUN_AUTH_PORT"]),
    )


async def test_new_installation_has_no_failure(environ: dict[str, str]) -> None:
    found = await findings(environ)
    assert {one.level for one in found} == {"ok"}
    assert "made at the first start" in told(found, "database")
    assert not os.path.exists(environ["ZIMUN_DATA_DIR"])  # noqa: ASYNC240


async def test_running_server_is_ok_and_absent_envoy_a_failure(
    environ: dict[str, str], served: Settings
) -> None:
    async with app.serve(served, WallClock()):
        found = await findings(environ, running=True)
    assert "is SERVING" in told(found, "server")
    assert "SQLite" in told(found, "database")
    assert "1, the newest published" in told(found, "keys")
    assert [one.subject for one in found if one.level == "failure"] == ["envoy"]
    assert await failures(environ) == []
    assert len(await failures(environ, running=True)) == 2


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"ZIMUN_PORT": "http"}, "ZIMUN_PORT=http"),
        ({"ZIMUN_DATA_DIR": "/dev/null/data"}, "cannot be made"),
        ({"ZIMUN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/z"}, "127.0.0.1/z cannot be"),
        ({"ZIMUN_DATABASE_URL": "postgresql//u:hunter2@h/z"}, "ZIMUN_DATABASE_URL"),
        ({"ZIMUN_TLS_CERTIFICATE": "/no/c", "ZIMUN_TLS_KEY": "/no/k"}, "No such file"),
    ],
)
async def test_fault_that_prevents_serving_is_a_failure_without_secrets(
    environ: dict[str, str], words: str
) -> None:
    found = await findings(environ)
    assert words in "\n".join(str(one) for one in found if one.level == "failure")
    assert "hunter2" not in str(found)


async def test_variable_that_is_no_setting_is_a_warning(environ: dict[str, str]) -> None:
    found = await findings(environ | {"ZIMUN_PROT": "8080"})
    assert [str(one) for one in found if one.level == "warning"] == [
        "warning  configuration: ZIMUN_PROT is no setting of Zimun"
    ]


async def test_port_of_another_program_is_a_failure(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environ["ZIMUN_AUTH_PORT"]))):
        [failure] = await failures(environ)
    assert "ZIMUN_AUTH_PORT" in failure
    assert "in use by another program" in failure


async def test_damaged_file_is_a_failure(environ: dict[str, str], served: Settings) -> None:
    async with app.serve(served, WallClock()):
        pass
    file = served.data_dir / "zimun.db"
    content = bytearray(file.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    file.write_bytes(content)
    [failure] = await failures(environ)
    assert "is damaged" in failure


async def test_ledger_that_is_ahead_of_the_clock_is_a_failure(
    environ: dict[str, str], served: Settings
) -> None:
    async with app.serve(served, WallClock(HOUR)) as server:
        command = CreateOrganization(Organization(id="o_1", name="One", time_zone="UTC"))
        await server.stores.writer.run("o_1", command, creates=True)
        assert await failures(environ) == []
        [sandbox] = [one.text for one in await findings(environ) if one.level == "warning"]
        assert sandbox.endswith("`zimun up --demo --now real` ends it")
        await server.stores.database.write(lambda connection: write_clock_offset(connection, 0))
    [failure] = await failures(environ)
    assert "the ledger is 3" in failure
    assert "ahead of this machine's" in failure


@pytest.mark.parametrize(("days", "level"), [(-1, "failure"), (10, "warning"), (100, "ok")])
async def test_end_of_a_certificate_is_reported(
    environ: dict[str, str], tmp_path: Path, days: int, level: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    end = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=365), end)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").touch(0o600)
    files = {"ZIMUN_TLS_CERTIFICATE": tmp_path / "c.pem", "ZIMUN_TLS_KEY": tmp_path / "k.pem"}
    found = await findings(environ | {name: str(path) for name, path in files.items()})
    assert told(found, "ZIMUN_TLS_CERTIFICATE").startswith(level)
