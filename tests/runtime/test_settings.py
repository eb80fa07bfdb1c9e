"""Settings from environment variables: typed, checked, and without secrets in errors."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from receipts.handlers import Receipts
from testkit.certificates import self_signed
from weenats import ServiceHandlers
from weenats.settings import EnvironmentSettings, SettingsError

SECRET = "s3cret"
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in EnvironmentSettings.variables():
        monkeypatch.delenv(variable.name, raising=False)


def built(handlers: ServiceHandlers | None = None) -> Any:
    """Return the settings of a service that is built from the environment."""
    return EnvironmentSettings().builder(handlers or Receipts())._settings


def test_without_variables_defaults_hold() -> None:
    """The settings are those of a builder without any settings, but for the connection's name."""
    settings = built()
    assert settings.servers == "nats://localhost:4222"
    assert settings.connection.name == "receipts"
    assert (settings.telemetry, settings.health, settings.jwks) == (None, None, None)
    for name in ("max_concurrency", "drain_timeout"):
        assert settings.is_default(name)


def test_misspelled_variables_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo says what was meant, without its value; other variables with the prefix do not."""
    for name in ("WEENATS_JWKS_URL", "WEENATS_TOKEN", "WEENATS_DATABASE", "WEENATS_USERS"):
        monkeypatch.setenv(name, SECRET)
    for name in ("WEENATS_USER", "weenats_password", "WEENATS_PASSWORDS", "weenats_issuers"):
        monkeypatch.setenv(name, "ada")
    EnvironmentSettings()
    assert caplog.messages == [
        "weenats_issuers is not a setting and has no effect: did you mean WEENATS_ISSUER?",
        "WEENATS_JWKS_URL is not a setting and has no effect: did you mean WEENATS_JWKS_URI?",
    ]


def test_variables_set_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable reaches the builder; empty ones count as not set."""
    for name, value in {
        "NATS_URL": f"nats://ada:{SECRET}@a:1,b:2",
        "WEENATS_USER": "ada",
        "WEENATS_PASSWORD": SECRET,
        "WEENATS_JWKS_URI": "https://issuer.example/jwks",
        "WEENATS_ISSUER": "https://issuer.example",
        "WEENATS_MAX_CONCURRENCY": "7",
        "WEENATS_DRAIN_TIMEOUT": "2.5",
        "WEENATS_ENVIRONMENT": "staging",
        "WEENATS_EXPORTER_URL": "http://127.0.0.1:4318",
        "WEENATS_CREDENTIALS": "",
    }.items():
        monkeypatch.setenv(name, value)
    settings = built()
    assert settings.servers == f"nats://ada:{SECRET}@a:1,b:2"
    assert (settings.connection.user, settings.connection.password) == ("ada", SECRET)
    assert settings.connection.credentials is None
    assert (settings.max_concurrency, settings.drain_timeout) == (7, 2.5)
    assert settings.telemetry.environment == "staging"
    assert settings.telemetry.exporter_url == "http://127.0.0.1:4318"
    assert settings.jwks is not None


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "PS256", "RS256"])
def test_algorithms_of_common_issuers(algorithm: str) -> None:
    """Tokens of most issuers have RS256, which nothing but the URL of their keys has to say."""
    settings = EnvironmentSettings(jwks_uri="https://issuer.example/jwks")
    config = settings.authentication("receipts")
    assert config is not None
    assert algorithm in config.algorithms


def test_credentials_and_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of credentials, tokens of connections, and the address of probes are taken."""
    for name in ("credentials", "nkey_seed", "auth_token"):
        variable = f"WEENATS_{name.upper()}"
        monkeypatch.setenv(variable, "/run/secrets/x")
        connection = EnvironmentSettings().connection()
        assert str(getattr(connection, name)) == "/run/secrets/x"
        monkeypatch.delenv(variable)
    monkeypatch.setenv("WEENATS_HEALTH_HTTP", "127.0.0.1:0")
    assert EnvironmentSettings().health_http == "127.0.0.1:0"


def test_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Certificates give a TLS context; files that cannot be used are named by their variable."""
    pem = str(self_signed(tmp_path, "127.0.0.1").pem)
    monkeypatch.setenv("WEENATS_TLS_CA", pem)
    tls: Any = EnvironmentSettings().connection().tls
    assert isinstance(tls(), ssl.SSLContext)
    (tmp_path / "empty").touch()
    monkeypatch.setenv("WEENATS_TLS_CERT", str(tmp_path / "empty"))
    monkeypatch.setenv("WEENATS_TLS_KEY", str(tmp_path / "empty"))
    with pytest.raises(SettingsError, match=r"^WEENATS_TLS_CERT: "):
        EnvironmentSettings().connection()
    monkeypatch.setenv("WEENATS_TLS_CA", "/nowhere/at/all")
    with pytest.raises(SettingsError, match=r"^WEENATS_TLS_CA: No such file"):
        EnvironmentSettings().builder(Receipts())


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NATS_URL": f"http://u:{SECRET}@x"}, "NATS_URL: the URL of a NATS server begins with"),
        ({"NATS_URL": f"nats://u:{SECRET}@x:y"}, "NATS_URL: the URL of a NATS server is malformed"),
        ({"MAX_CONCURRENCY": SECRET}, "WEENATS_MAX_CONCURRENCY: Input should be a valid integer"),
        (
            {"MAX_CONCURRENCY": "1001", "DRAIN_TIMEOUT": "0"},
            (
                "WEENATS_MAX_CONCURRENCY: Input should be less than or equal to 1000;"
                " WEENATS_DRAIN_TIMEOUT: Input should be greater than 0"
            ),
        ),
        ({"DRAIN_TIMEOUT": "inf"}, "WEENATS_DRAIN_TIMEOUT: Input should be a finite number"),
        ({"LOG_JSON": SECRET}, "WEENATS_LOG_JSON: Input should be a valid boolean"),
        ({"CREDENTIALS": SEED}, "WEENATS_CREDENTIALS: it is the path of a file, not what the"),
        ({"HEALTH_HTTP": f"x://{SECRET}"}, "WEENATS_HEALTH_HTTP: http is host and port"),
        ({"ENVIRONMENT": f"\x1b{SECRET}"}, "WEENATS_ENVIRONMENT: environment must be 1 to 255"),
        ({"EXPORTER_URL": f"ftp://{SECRET}@x"}, "WEENATS_EXPORTER_URL: exporter_url is the base"),
        ({"JWKS_URI": f"http://{SECRET}.example/"}, "WEENATS_JWKS_URI: jwks_uri must use https"),
        ({"ISSUER": "z"}, "WEENATS_ISSUER requires WEENATS_JWKS_URI"),
        ({"AUDIENCE": "z"}, "WEENATS_AUDIENCE requires WEENATS_JWKS_URI"),
        ({"USER": "ada"}, "WEENATS_USER requires WEENATS_PASSWORD"),
        ({"PASSWORD": SECRET}, "WEENATS_PASSWORD requires WEENATS_USER"),
        ({"TLS_KEY": "key.pem"}, "WEENATS_TLS_KEY requires WEENATS_TLS_CERT"),
        (
            {"USER": "ada", "PASSWORD": SECRET, "AUTH_TOKEN": SECRET},
            "WEENATS_AUTH_TOKEN and WEENATS_USER exclude one another: a connection has one",
        ),
        ({"CREDENTIALS": "a", "NKEY_SEED": "b"}, "WEENATS_CREDENTIALS and WEENATS_NKEY_SEED excl"),
    ],
)
def test_invalid_variable_is_named(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what is expected, and shows no value of a secret."""
    for name, value in variables.items():
        monkeypatch.setenv(name if name == "NATS_URL" else f"WEENATS_{name}", value)
    with pytest.raises(SettingsError) as raised:
        built()
    assert str(raised.value).startswith(message)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    for hidden in (SECRET, SEED):
        assert hidden not in str(raised.value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither repr, nor str, nor a dump shows passwords, tokens and URLs that may have them."""
    for name, value in {
        "NATS_URL": f"nats://u:{SECRET}@x",
        "WEENATS_USER": "ada",
        "WEENATS_PASSWORD": SECRET,
    }.items():
        monkeypatch.setenv(name, value)
    settings = EnvironmentSettings()
    for shown in (repr(settings), str(settings), str(settings.model_dump())):
        assert SECRET not in shown
    assert SECRET not in settings.model_dump_json()
    assert SECRET not in str(EnvironmentSettings.variables())


class Own(EnvironmentSettings):
    """Settings with one of a program's own."""

    database: Path


def test_subclass_adds_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of a program's own has a variable, and is named when it is missing."""
    with pytest.raises(SettingsError, match=r"^WEENATS_DATABASE: Field required$"):
        Own()
    monkeypatch.setenv("WEENATS_DATABASE", "/data/receipts.db")
    assert Own().database == Path("/data/receipts.db")
    assert Own.variables()[-1] == ("WEENATS_DATABASE", "", "")


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pydantic-settings the import says what to install."""
    monkeypatch.setitem(sys.modules, "pydantic_settings", None)
    monkeypatch.delitem(sys.modules, "weenats.settings")
    with pytest.raises(ImportError, match=r"pip install 'weenats\[settings\]'"):
        __import__("weenats.settings")
