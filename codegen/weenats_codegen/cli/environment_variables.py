"""The environment variables of services, as `weenats run --help` lists them."""

from weenats.settings import EnvironmentSettings


def variables() -> list[tuple[str, str]]:
    """Return each variable with its description and default."""
    return [
        (name, f"{description} (default: {default})" if default else description)
        for name, description, default in EnvironmentSettings.variables()
    ]
