"""Settings from the environment, and what is said of wrong ones."""

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
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable}={value}"):
        load({variable: value})


@pytest.mark.parametrize(
    "environ",
    [{"ZIMUN_TLS_KEY": "k.pem"}, {"ZIMUN_JWKS_URL": "https://id.example/jwks"}],
)
def test_what_belongs_together_comes_together(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="ZIMUN_"):
        load(environ)
