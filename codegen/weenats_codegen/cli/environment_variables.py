"""The environment variables of services, as `weenats run --help` lists them."""

from weenats._internal.extras import MissingExtraError


def variables() -> list[tuple[str, str]]:
    """Return each variable with its description and default.

    Without the extra `settings` it is the name of the extra that reads them.
    """
    try:
        from weenats.settings import EnvironmentSettings  # needs the extra
    except MissingExtraError as error:
        return [("none", str(error))]
    return [
        (name, f"{description} (default: {default})" if default else description)
        for name, description, default in EnvironmentSettings.variables()
    ]
