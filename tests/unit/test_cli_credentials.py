"""The commands for clients and signing keys, on a SQLite file."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zimun.cli import commands
from zimun.command_options import MAX_NAME_LENGTH
from zimun.v1 import options_pb2
from zimun.v1.organization_pb2 import Organization


class Commands:
    """Runs commands on one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = str(data_dir)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(commands, [*arguments, "--data-dir", self._data_dir])

    def output(self, *arguments: str) -> list[str]:
        """Run a command that must succeed; return the lines it printed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout.splitlines()

    def kids(self) -> list[str]:
        return [line.split()[1] for line in self.output("keys", "list")]


@pytest.fixture
def cli(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_keys_rotate_on_a_new_database_lists_the_first_key_and_the_new_one(cli: Commands) -> None:
    assert cli.kids() == []
    [published] = cli.output("keys", "rotate")
    first, second = cli.kids()
    assert published == f"published {second}"
    assert first != second


def test_keys_remove_of_an_unknown_or_the_last_key_is_refused(cli: Commands) -> None:
    cli.output("keys", "rotate")
    first, second = cli.kids()
    for kid in ("kid_unknown", "-kid"):
        unknown = cli.run("keys", "remove", kid)
        assert unknown.exit_code == 2
        assert f"no signing key {kid}: see `zimun keys list`" in unknown.output
    assert cli.output("keys", "remove", first, "--now") == [f"removed {first}"]
    last = cli.run("keys", "remove", second, "--now")
    assert last.exit_code == 2
    assert f"{second} is the only signing key: `zimun keys rotate` makes another" in last.output
    assert cli.kids() == [second]


def test_client_commands_create_list_rotate_and_revoke(cli: Commands) -> None:
    create = ("client", "create", "--name", "Web", "--scope", "org:read", "--id", "c_web")
    assert "no organization o_1" in cli.run(*create, "--org", "o_1").output
    cli.output("org", "create", "o_1", "--name", "One")
    client_id, secret = cli.output(*create, "--org", "o_1")
    assert client_id.split() == ["client", "id", "c_web"]
    assert "c_web is in use" in str(cli.run(*create, "--org", "o_1").exception)
    assert cli.output("client", "rotate", "c_web") != [secret]
    assert cli.output("client", "list", "--org", "o_1") == ["c_web  active  org:read  Web"]
    assert cli.output("client", "revoke", "c_web") == ["c_web is revoked"]
    [revoked] = cli.output("client", "list", "--org", "o_1")
    assert revoked.startswith("c_web  revoked ")
    assert "c_web is revoked" in str(cli.run("client", "rotate", "c_web").exception)
    assert "no client c_2" in str(cli.run("client", "revoke", "c_2").exception)


@pytest.mark.parametrize(
    ("name", "violation"),
    [
        (" ", "must not be blank"),
        ("", "must not be blank"),
        ("X\r\nBcc: all", "must not have the character U+000D"),
        ("\u202eX", "must not have the character U+202E"),
        ("n" * 201, "must have at most 200 characters"),
    ],
)
def test_names_of_organizations_and_clients_are_refused_as_in_the_api(
    cli: Commands, name: str, violation: str
) -> None:
    cli.output("org", "create", "o_1", "--name", "é" * 200)
    for command in (("org", "create", "o_2"), ("client", "create", "--org", "o_1")):
        refused = cli.run(*command, "--name", name)
        assert refused.exit_code == 2
        assert violation in refused.output
    assert cli.output("client", "list", "--org", "o_1") == []


def test_names_of_commands_are_as_long_as_those_of_the_api() -> None:
    max_length: Any = options_pb2.max_length
    declared = Organization.DESCRIPTOR.fields_by_name["name"].GetOptions()
    assert declared.Extensions[max_length] == MAX_NAME_LENGTH
