"""Reading the data of events that were stored by an older version of the contract."""

from typing import Any, Final, cast

from pydantic_core import to_json

from weenats._internal.tasks import ends_task
from weenats.codec.numbers import dump_digits, load, load_digits
from weenats.contract import Event

__all__ = ["DATA_VERSION", "UpcastError", "upcast", "upcast_notification", "version_member"]
DATA_VERSION: Final = "dataVersion"
"""The member of events with the version of their data; without it, that is version 1."""


class UpcastError(ValueError):
    """An upcaster of the user failed, or there can be none: the data has a newer version."""


def version_member(version: int) -> bytes:
    """Return the member for the version of the data of an event, b"" for version 1.

    Args:
        version: the version.
    """
    return b"" if version == 1 else b'"%b":%d,' % (DATA_VERSION.encode(), version)


def upcast(event: Event[Any], data: bytes, version: int) -> bytes:
    """Return data as the present version of the contract has it.

    Args:
        event: the event.
        data: the data, JSON text.
        version: its version.

    Raises:
        UpcastError: an upcaster failed, or a newer version of the contract has the version.
        ValueError: it is not valid JSON.
    """
    if version > (known := len(event.previous) + 1):
        # It may match the contract all the same, and mean something else.
        raise UpcastError(
            f"the data of {event.name} has version {version}, and this contract knows {known}:"
            " it is for programs with the newer contract"
        )
    for number, step in enumerate(event.previous[version - 1 :], version):
        if step.upcaster is None:
            data = dump_digits(step.next_of(load_digits(data)))
            continue
        try:
            data = to_json(step.upcaster(load(data)))
        except BaseException as error:
            if ends_task(error):
                raise
            kind = type(error).__name__
            text = f"the upcaster of {event.name} from version {number} raised {kind}"
            raise UpcastError(text) from error
    return data


def upcast_notification(event: Event[Any], payload: bytes) -> bytes:
    """Return an event, as it is published, with data of the present version of the contract.

    Args:
        event: the event.
        payload: the event, JSON text.

    Raises:
        UpcastError: an upcaster failed, or a newer version of the contract has the version.
        ValueError: it is not valid JSON.
    """
    document: object = load_digits(payload)
    if not isinstance(document, dict):
        return payload
    members = cast("dict[str, Any]", document)
    version = members.pop(DATA_VERSION, 1)
    if type(version) is not int or version < 1 or version == len(event.previous) + 1:
        return payload
    data = upcast(event, dump_digits(members.pop("data", None)), version)
    return b'%b,"data":%b}' % (dump_digits(members)[:-1], data)
