"""Odd values of settings end in one line, which names the setting and quotes no password."""

import string
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from zimun.config import ConfigError, Settings, load
from zimun.gateway_settings import gateway_settings
from zimun_gateway import bootstrap

from ..support.processes import BIN, environment, free_port, run
from .attacks import AttackCounter, cases, seeded
from .files import refused

SECRET = "hunter2"

MAX_CONFIGURATIONS = 3
"""Configurations of Envoy that a setting makes: each takes a tenth of a second."""

ODD = [
    *("-1", "65536", "9" * 20, "9" * 5000, "1e9", "nan", "0x10", "½", "²", "٣", " ", "\t", "a\nb"),
    *("\udcff", "a\x7fb", "\u202e", "a" * 300, "/" + "a" * 5000, "%s", "{}", "/", "/dev/null"),
    *("::", "[::1]", "[::1", "256.1.1.1", "host:0", "h:80,h", ":80", "h:99999999", ","),
    *("http://", "http://[", "http://h:99999", "http://h%zz", "file:///x", "https://*"),
    *(f"http://u:{SECRET}@h/", f"u:{SECRET}@h", f"//u:{SECRET}@h:1/\n", f"http://a,http://{SECRET}@"),
]  # fmt: skip

ALPHABET = string.printable + "\u2028é\udc80@:/[]%,"


def odd_values(name: str) -> list[str]:
    rng = seeded(f"settings {name}")
    lengths = (rng.choice((1, 3, 12, 400)) for _ in range(cases(40)))
    return ODD + ["".join(rng.choices(ALPHABET, k=length)) for length in lengths]


@pytest.mark.parametrize("name", [setting.name.upper() for setting in fields(Settings)])
def test_an_odd_value_is_taken_or_refused_in_one_line(name: str, attacks: AttackCounter) -> None:
    """The first that are taken make a configuration for Envoy, too."""
    belonging = {"JWKS_URL": {"ZIMUN_ISSUER": "https://id.example"}}.get(name, {})
    taken = 0
    for value in odd_values(name):
        try:
            settings = load({f"ZIMUN_{name}": value} | belonging)
            if taken < MAX_CONFIGURATIONS:
                bootstrap.dump(gateway_settings(settings))
            taken += 1
            attacks.count("odd setting", "taken")
        except ConfigError as error:
            line = str(error)
            assert "ZIMUN_" in line
            assert line.isprintable(), ascii(line)
            assert len(line) < 400
            assert SECRET not in line or "//" not in value, line
            attacks.count("odd setting")


def test_a_wrong_value_is_quoted_without_its_user() -> None:
    with pytest.raises(ConfigError) as refused_url:
        load({"ZIMUN_PUBLIC_URL": f"https://u:{SECRET}@h"})
    assert str(refused_url.value).startswith("ZIMUN_PUBLIC_URL=https://…@h: must be")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"GRPC_HOST": "no.such.invalid"}, "auth port 0 cannot be used at no.such.invalid: "),
        ({"GRPC_HOST": "192.0.2.1"}, "auth port 0 cannot be used at 192.0.2.1: "),
        ({"GRPC_HOST": "192.0.2.1", "WORKERS": "2"}, "port 0 cannot be used at 192.0.2.1: "),
        ({"GRPC_HOST": "\udcff"}, "ZIMUN_GRPC_HOST"),
        ({"METRICS_HOST": "192.0.2.1", "METRICS_PORT": "0"}, "metrics port 0 cannot be used at"),
    ],
)
def test_a_server_that_cannot_listen_says_where(
    variables: dict[str, str], named: str, tmp_path: Path
) -> None:
    env = {f"ZIMUN_{name}": value for name, value in variables.items()}
    ports = ("--grpc-port", "0", "--auth-port", "0")
    assert named in refused("serve", *ports, data_dir=tmp_path, **env)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HOST": "192.0.2.1"}, "cannot be used at 192.0.2.1: "),
        ({"TLS_CERTIFICATE": "/dev/null", "TLS_KEY": "/dev/null"}, "/dev/null"),
        ({"UPSTREAM_TLS_CA": "/no/such/file"}, "/no/such/file"),
        ({"GRPC_ENDPOINTS": "127.0.0.1"}, "ZIMUN_GRPC_ENDPOINTS"),
        ({"JWKS_URL": "/keys.json", "ISSUER": "https://id.example"}, "ZIMUN_JWKS_URL"),
    ],
)
def test_a_gateway_that_cannot_start_says_why(
    variables: dict[str, str], named: str, tmp_path: Path
) -> None:
    env = {f"ZIMUN_{name}": value for name, value in variables.items()}
    done = run(
        str(BIN / "zimun"),
        *("gateway", "--port", str(free_port())),
        ZIMUN_DATA_DIR=str(tmp_path),
        **env,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert named in line


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="a machine without IPv6")
def test_a_server_listens_at_an_address_of_ipv6(tmp_path: Path) -> None:
    env = {"ZIMUN_GRPC_HOST": "::1", "ZIMUN_METRICS_PORT": "0", "ZIMUN_METRICS_HOST": "::1"}
    ports = ("--grpc-port", "0", "--auth-port", "0", "--data-dir", str(tmp_path))
    command = [str(BIN / "zimun"), "serve", *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(**env)) as server:
        assert server.stdout
        assert server.stdout.readline().startswith(b"gRPC at [::1]:")
        server.terminate()


def test_errors_about_arguments_are_printable_and_short(tmp_path: Path) -> None:
    for arguments in (("org", "create", "o_\n\x1b[2J"), ("client", "list", "--org", "a" * 5000)):
        done = run(str(BIN / "zimun"), *arguments, "--data-dir", str(tmp_path))
        assert all(line.isprintable() for line in done.stderr.splitlines()), ascii(done.stderr)
        assert len(done.stderr) < 2000
