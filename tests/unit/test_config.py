"""Settings from the environment, and what is said of wrong ones."""

import re
from pathlib import Path

import pytest

from zimun.config import ConfigError, Settings, load


def test_nothing_set_means_the_defaults() -> None:
    assert load({}) == Settings()


def test_variables_are_read_and_arguments_come_before_them() -> None:
    environ = {
        "ZIMUN_PORT": "9000",
        "ZIMUN_GRPC_PORT": "9001",
        "ZIMUN_DATA_DIR": "/srv/zimun",
        "ZIMUN_CORS_ORIGINS": "https://a.example, https://b.example",
        "ZIMUN_LOG_LEVEL": "debug",
        "PORT": "1",
    }
    settings = load(environ, port=9100, grpc_port=None)
    assert (settings.port, settings.grpc_port) == (9100, 9001)
    assert settings.data_dir == Path("/srv/zimun")
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.log_level == "DEBUG"


def test_the_issuer_follows_the_port_and_the_scheme_unless_set() -> None:
    assert load({}, port=81).public_issuer == "http://localhost:81"
    tls = {"ZIMUN_TLS_CERTIFICATE": "c.pem", "ZIMUN_TLS_KEY": "k.pem"}
    assert load(tls).public_issuer == "https://localhost:8080"
    assert load({"ZIMUN_ISSUER": "https://id.example"}).public_issuer == "https://id.example"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ZIMUN_PORT", "http"),
        ("ZIMUN_PORT", "65536"),
        ("ZIMUN_GRPC_PORT", "-1"),
        ("ZIMUN_RATE_LIMIT", "many"),
        ("ZIMUN_TOKEN_LIFETIME", "0"),
        ("ZIMUN_LOG_LEVEL", "loud"),
        ("ZIMUN_METRICS_PORT", "65536"),
        ("ZIMUN_SLOW_REQUEST", "soon"),
        ("ZIMUN_TRACE_RATIO", "1.5"),
        ("ZIMUN_OTLP_ENDPOINT", "collector"),
        ("ZIMUN_ISSUER", "https://a b"),
        ("ZIMUN_PUBLIC_URL", "h"),
        ("ZIMUN_PUBLIC_URL", "ftp://h"),
        ("ZIMUN_PUBLIC_URL", "https://"),
        ("ZIMUN_PUBLIC_URL", "https://h?x=1"),
        ("ZIMUN_PUBLIC_URL", "https://h#x"),
        ("ZIMUN_PUBLIC_URL", "https://h:99999"),
        ("ZIMUN_PUBLIC_URL", "https://h:abc"),
        ("ZIMUN_PUBLIC_URL", "https://a b"),
        ("ZIMUN_PUBLIC_URL", "https://h/x%20y"),
        ("ZIMUN_PUBLIC_URL", 'https://h/"x'),
        ("ZIMUN_PUBLIC_URL", "https://h\n"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{variable}={value.rstrip()}")):
        load({variable: value})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "https://booking.example.com",
        "https://zimun.example/booking/v1.0",
        "https://[2001:db8::1]:8443",
        "https://10.0.0.1/~api_x",
    ],
)
def test_base_url_may_have_a_port_and_a_path(url: str) -> None:
    assert load({"ZIMUN_PUBLIC_URL": f"{url}/"}).resource == url
    assert load({"ZIMUN_ISSUER": f"{url}/"}).public_issuer == f"{url}/"


@pytest.mark.parametrize(
    "environ",
    [{"ZIMUN_TLS_KEY": "k.pem"}, {"ZIMUN_JWKS_URL": "https://id.example/jwks"}],
)
def test_what_belongs_together_comes_together(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="ZIMUN_"):
        load(environ)


def test_resource_is_our_own_issuer_or_the_public_url() -> None:
    public = {"ZIMUN_PUBLIC_URL": "https://zimun.example/"}
    outside = {"ZIMUN_JWKS_URL": "https://id.example/jwks", "ZIMUN_ISSUER": "https://id.example"}
    assert load({"ZIMUN_PORT": "8081"}).resource == "http://localhost:8081"
    assert load(outside).resource == ""
    assert load(outside | public).resource == "https://zimun.example"
    assert load({"ZIMUN_ISSUER": "https://zimun.example/"}).resource == "https://zimun.example"
    assert load(public).resource == "https://zimun.example"


def test_each_worker_has_a_grpc_port_of_its_own_from_the_given_one_on() -> None:
    assert load({"ZIMUN_WORKERS": "3", "ZIMUN_GRPC_PORT": "9000"}).grpc_ports == (9000, 9001, 9002)
    assert load({"ZIMUN_WORKERS": "2", "ZIMUN_GRPC_PORT": "0"}).grpc_ports == (0, 0)


def test_the_default_ports_have_room_for_the_most_workers() -> None:
    assert len(load({"ZIMUN_WORKERS": "256"}).grpc_ports) == 256


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"ZIMUN_GRPC_PORT": "65535"}, "ZIMUN_GRPC_PORT=65535"),
        ({"ZIMUN_METRICS_PORT": "65535"}, "ZIMUN_METRICS_PORT=65535"),
        ({"ZIMUN_GRPC_PORT": "9000", "ZIMUN_AUTH_PORT": "9001"}, "ZIMUN_AUTH_PORT=9001"),
    ],
)
def test_ports_that_workers_cannot_have_are_refused(environ: dict[str, str], named: str) -> None:
    assert load(environ).workers == 1
    with pytest.raises(ConfigError, match=named):
        load(environ | {"ZIMUN_WORKERS": "2"})


def test_answer_timeout_not_longer_than_that_of_locks_is_refused() -> None:
    with pytest.raises(ConfigError, match="ZIMUN_DATABASE_ANSWER_TIMEOUT"):
        load({"ZIMUN_DATABASE_LOCK_TIMEOUT": "10"})
    settings = load({"ZIMUN_DATABASE_LOCK_TIMEOUT": "10", "ZIMUN_DATABASE_ANSWER_TIMEOUT": "11"})
    assert settings.database_answer_timeout == 11
