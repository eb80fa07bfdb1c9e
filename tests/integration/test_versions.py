"""Two versions of a service side by side: `tills` and `tills-v2`, over one server."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from testkit.nats_users import as_user, config_of
from testkit.waiting import until
from weenats import NatsServiceBuilder, PermissionDeniedError, ReceivedEvent
from weenats.testing import NatsServer
from weenats_codegen.generate import generate, read_contracts
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import of_client, of_service

TILL: Final = {"type": "object", "required": ["place"], "properties": {"place": {"type": "string"}}}
PACKAGES: Final = ("tills", "tills_v2", "till_parts")


def contract(name: str, version: str, amount: dict[str, Any]) -> dict[str, Any]:
    """Return a contract whose versions have different payloads and the same names."""
    amount = {"type": "object", "required": ["amount"], "properties": {"amount": amount}}
    command = {"description": "Book.", "payload": amount, "emits": ["booked"]}
    command["result"] = {"$ref": "../till-parts/till.json"}
    till = {
        "state": {"$ref": "../till-parts/till.json"},
        "commands": {"book": command},
        "queries": {"get": {"description": "Show it."}},
        "events": {"booked": {"description": "Booked.", "data": amount}},
    }
    head = {"service": name, "version": version, "description": "Keeps tills."}
    return {**head, "aggregates": {"till": till}}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The packages of both versions, and their permissions by user."""
    folder = tmp_path_factory.mktemp("versions")
    for name, text in {
        "tills/service.json": contract("tills", "1.4.0", {"type": "number"}),
        "tills-v2/service.json": contract("tills-v2", "2.0.0", {"type": "string"}),
        "till-parts/till.json": TILL,
    }.items():
        path = folder / "schemas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(text))
    generate([folder / "schemas"], folder / "generated")
    permissions: dict[str, Permissions] = {}
    for each in read_contracts([folder / "schemas"]):
        permissions[f"service {each.service}"] = of_service(each)
        permissions[f"caller {each.service}"] = of_client(each)
    sys.path.insert(0, str(folder / "generated"))
    modules = {name: importlib.import_module(name) for name in PACKAGES}
    yield {"permissions": permissions, **modules}
    sys.path.remove(str(folder / "generated"))
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]


def handlers(package: Any, base: str) -> Any:
    """Return the handlers of one version; they publish what is booked."""

    async def book(self: Any, key: str, command: Any, context: object) -> Any:
        await self.publish_booked(key, package.Booked(amount=command.amount), revision=1)
        return package.Till(place=f"{package.__name__} {key}")

    async def get_till(self: Any, key: str, context: object) -> Any:
        raise NotImplementedError

    return type("Handlers", (getattr(package, base),), {"book": book, "get_till": get_till})()


@pytest.fixture
async def running(packages: dict[str, Any]) -> AsyncIterator[NatsServer]:
    """A server with a user for each role, and both versions, each as its own user."""
    with NatsServer(config=config_of(packages["permissions"])) as server:
        async with AsyncExitStack() as stack:
            for package, service in (("tills", "tills"), ("tills_v2", "tills-v2")):
                base = "TillsHandlers" if package == "tills" else "TillsV2Handlers"
                user = as_user(f"service {service}")
                served = handlers(packages[package], base)
                builder = NatsServiceBuilder(served, server.url, connection=user)
                await stack.enter_async_context(builder.build())
            yield server


async def test_versions_do_not_meet(packages: dict[str, Any], running: NatsServer) -> None:
    """Calls and events of each version reach that version alone; they share a model."""
    old, new = packages["tills"], packages["tills_v2"]
    assert old.Till is new.Till is packages["till_parts"].Till
    assert old.Booked is not new.Booked
    seen: list[tuple[str, object]] = []

    async def on_old(event: ReceivedEvent[Any]) -> None:
        seen.append(("old", event.data.amount))

    async def on_new(event: ReceivedEvent[Any]) -> None:
        seen.append(("new", event.data.amount))

    async with AsyncExitStack() as stack:
        clients: list[Any] = []
        for kind, user in ((old.TillsClient, "tills"), (new.TillsV2Client, "tills-v2")):
            options = as_user(f"caller {user}")
            client = kind.connect(running.url, connection=options)
            clients.append(await stack.enter_async_context(client))
        first, second = clients
        await first.subscribe_booked(on_old)
        await second.subscribe_booked(on_new)
        assert (await first.book("t", old.Book(amount=1.5))).place == "tills t"
        assert (await second.book("t", new.Book(amount="1.50"))).place == "tills_v2 t"
        await until(lambda: len(seen) == 2)
        assert sorted(seen, key=str) == [("new", "1.50"), ("old", 1.5)]


async def test_permissions_of_a_version_are_its_own(
    packages: dict[str, Any], running: NatsServer
) -> None:
    """Who may call one version may not call the other."""
    new = packages["tills_v2"]
    client = new.TillsV2Client.connect(running.url, connection=as_user("caller tills"))
    async with client:
        with pytest.raises(PermissionDeniedError, match=r"tills-v2\.command\.till\.book"):
            await client.book("t", new.Book(amount="1"))


def test_subjects_of_versions_do_not_overlap(packages: dict[str, Any]) -> None:
    """No subject of a version is one of the other, discovery of all services apart."""
    subjects = {
        user: {
            each.subject
            for each in (*permissions.publish, *permissions.subscribe)
            if not each.subject.startswith("_INBOX") and each.subject.count(".") > 1
        }
        for user, permissions in packages["permissions"].items()
    }
    assert all(subjects.values())
    for role in ("service", "caller"):
        assert subjects[f"{role} tills"].isdisjoint(subjects[f"{role} tills-v2"])


def test_generated_files_are_apart(packages: dict[str, Any]) -> None:
    """Each version has its own package; the second one may be removed with the first in place."""
    files = {Path(packages[name].__file__).parent.name for name in PACKAGES}
    assert files == set(PACKAGES)
