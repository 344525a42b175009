"""The configuration as text: stable, current, and accepted by Envoy in every variant."""

import datetime
import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from zimun_gateway import Settings, build, dump
from zimun_gateway.__main__ import main, validate
from zimun_gateway.config import seconds
from zimun_gateway.rate_limits import WATCH
from zimun_gateway.routes import HEALTH

from ..support.gateway import DESCRIPTORS, LOG_RATE

DEFAULT = Settings(descriptors=DESCRIPTORS, log_rate=LOG_RATE)


def listener(settings: Settings) -> Any:
    return build(settings)["static_resources"]["listeners"][0]


def manager(settings: Settings) -> Any:
    return listener(settings)["filter_chains"][0]["filters"][0]["typed_config"]


def filters(settings: Settings) -> list[str]:
    return [entry["name"] for entry in manager(settings)["http_filters"]]


def paths(settings: Settings) -> list[str]:
    routes = manager(settings)["route_config"]["virtual_hosts"][0]["routes"]
    return [next(iter(route["match"].values())) for route in routes]


def test_streams_may_be_silent_for_all_of_their_lifetime() -> None:
    routes = manager(DEFAULT)["route_config"]["virtual_hosts"][0]["routes"]
    prefix = f"/{HEALTH}/"
    [watch] = [each["route"] for each in routes if each["match"].get("prefix") == prefix]
    assert watch["max_stream_duration"]["max_stream_duration"] == seconds(WATCH.lifetime)
    assert (watch["timeout"], watch["idle_timeout"]) == ("0s", "0s")


def test_configuration_of_the_same_settings_is_the_same_text() -> None:
    assert dump(DEFAULT) == dump(replace(DEFAULT))
    assert yaml.safe_load(dump(DEFAULT)) == build(DEFAULT)


def test_committed_file_is_current(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    assert Path("envoy.yaml").read_text() == dump(Settings())
    assert main(["--check", "envoy.yaml"]) == 0


def test_a_file_that_is_not_current_is_named(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(repository)
    stale = tmp_path / "envoy.yaml"
    stale.write_text(dump(Settings(listen_port=1)))
    assert main(["--check", str(stale)]) == 1
    assert "is stale" in capsys.readouterr().err
    assert main(["--write", str(stale)]) == 0
    assert main(["--print"]) == 0
    assert stale.read_text() == capsys.readouterr().out


def test_file_that_envoy_refuses_fails_the_check(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "envoy.yaml"
    broken.write_text("static_resources: {listeners: [{nonsense: 1}]}")
    assert validate(broken) == 1
    assert "nonsense" in capfd.readouterr().err


VARIANTS = {
    "outside": {
        "jwks_uri": "https://login.example.com/keys",
        "issuer": "https://login.example.com",
    },
    "outside_ip": {"jwks_uri": "https://192.0.2.1:8443/keys"},
    "outside_plain": {"jwks_uri": "http://127.0.0.1:9/keys"},
    "cors": {"cors_origins": ("https://shop.example",)},
    "cors_any": {"cors_origins": ("*",)},
    "unlimited": {"rate_limit": 0},
    "unlogged": {"access_log": ""},
    "logged_to_a_file": {"access_log": "/dev/null"},
    "cluster": {"grpc_endpoints": ("10.0.0.1:1", "[::1]:2", "zimun-2.internal:50051")},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_envoy_accepts_the_configuration_of_these_settings(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    ca, _ = certificate(tmp_path)
    file = tmp_path / "envoy.yaml"
    file.write_text(dump(replace(DEFAULT, jwks_ca=ca, **changes)))
    assert validate(file) == 0


def test_envoy_accepts_certificates(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    file = tmp_path / "envoy.yaml"
    file.write_text(dump(replace(DEFAULT, tls_certificate=chain, tls_key=key)))
    assert validate(file) == 0


def test_an_outside_provider_is_verified_and_takes_the_token_endpoint_away() -> None:
    outside = replace(DEFAULT, jwks_uri="https://login.example.com/keys", resource="")
    assert "/oauth/token" in paths(DEFAULT)
    assert not [path for path in paths(outside) if "oauth" in path or "well-known" in path]
    cluster = build(outside)["static_resources"]["clusters"][1]
    tls = cluster["transport_socket"]["typed_config"]
    assert tls["sni"] == "login.example.com"
    validation = tls["common_tls_context"]["validation_context"]
    assert validation["trusted_ca"]["filename"] == str(outside.jwks_ca)
    assert validation["match_typed_subject_alt_names"][0]["matcher"]["exact"] == tls["sni"]


def test_rate_limit_of_0_leaves_no_rate_limit_in_the_configuration() -> None:
    assert "local_ratelimit" in dump(DEFAULT)
    assert "local_ratelimit" not in dump(replace(DEFAULT, rate_limit=0))


def test_fair_shares_and_the_concurrency_limit_can_be_turned_off() -> None:
    off = replace(DEFAULT, target_latency=0, fair_rate=0)
    assert {"zimun.fairness", "envoy.filters.http.adaptive_concurrency"} <= {*filters(DEFAULT)}
    assert "fairness" not in dump(off)
    assert "adaptive_concurrency" not in dump(off)


@pytest.mark.parametrize(
    ("value", "duration"),
    [(0.000001, "0.000001s"), (0.1, "0.1s"), (0, "0s"), (30, "30s"), (2_000_000.0, "2000000s")],
)
def test_durations_have_no_exponent(value: float, duration: str) -> None:
    assert seconds(value) == duration


def test_cors_is_off_unless_configured() -> None:
    assert "envoy.filters.http.cors" not in filters(DEFAULT)
    assert "envoy.filters.http.cors" in filters(replace(DEFAULT, cors_origins=("https://a",)))


def test_tokens_are_checked_before_anything_is_done_for_a_request() -> None:
    assert filters(DEFAULT) == [
        "zimun.log_path",
        "zimun.remember_request",
        "envoy.filters.http.grpc_web",
        "envoy.filters.http.rbac",
        "envoy.filters.http.jwt_authn",
        "zimun.limit_by_client",
        "zimun.limit_by_address",
        "zimun.headers_of_files",
        "envoy.filters.http.file_server",
        "envoy.filters.http.set_filter_state",
        "zimun.fairness",
        "envoy.filters.http.buffer",
        "envoy.filters.http.compressor",
        "envoy.filters.http.lua",
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.grpc_json_transcoder",
        "envoy.filters.http.adaptive_concurrency",
        "envoy.filters.http.router",
    ]


def test_admin_is_on_loopback_only() -> None:
    assert build(DEFAULT)["admin"]["address"]["socket_address"] == {
        "address": "127.0.0.1",
        "port_value": 9901,
    }


def test_servers_are_health_checked_and_requests_at_a_time_are_bounded() -> None:
    cluster = build(DEFAULT)["static_resources"]["clusters"][0]
    assert cluster["health_checks"][0]["grpc_health_check"] == {}
    assert cluster["outlier_detection"]["max_ejection_percent"] == 50
    assert (
        cluster["circuit_breakers"]["thresholds"][1]["max_requests"]
        == DEFAULT.max_concurrent_requests
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"tls_key": Path("key")},
        {"grpc_endpoints": ()},
        {"auth_endpoints": ()},
        {"clock_skew": 0},
        {"rate_limit": -1},
        {"token_rate_limit": 0},
        {"target_latency": -0.1},
        {"request_timeout": 0.0},
        {"request_timeout": 1e6},
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Settings(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"grpc_endpoints": ("localhost",)},
        {"auth_endpoints": (":80",)},
        {"jwks_uri": "ftp://login.example.com/keys"},
    ],
)
def test_malformed_addresses_are_quoted(changes: dict[str, Any]) -> None:
    value = next(iter(changes.values()))
    with pytest.raises(ValueError, match=value[0] if isinstance(value, tuple) else value):
        build(replace(DEFAULT, **changes))


def test_gateway_imports_nothing_of_the_server(repository: Path) -> None:
    """A fresh interpreter, as the tests themselves have the server's stubs loaded."""
    program = (
        "import sys, zimun_gateway, zimun_gateway.envoy_process, zimun_gateway.__main__;"
        "sys.exit(any(name.split('.')[0] == 'zimun' for name in sys.modules))"
    )
    assert importlib.util.find_spec("zimun")
    python = repository / ".venv/bin/python"
    assert subprocess.run([python, "-c", program], cwd=repository, check=False).returncode == 0


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain_file, key_file = folder / "chain.pem", folder / "key.pem"
    chain_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain_file, key_file
