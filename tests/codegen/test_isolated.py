"""Documents are compared in a process of their own, which ends in time."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest

from testkit import shops
from testkit.waiting import LIMIT
from weenats_codegen import documents, isolated


def arguments(service: str = shops.BREAKING) -> tuple[str, bytes, str]:
    """Return the documents of a client and of a service, and the digest of the latter."""
    contract = shops.package(service).CONTRACT
    return (
        shops.package(shops.OLD).CONTRACT.document(),
        contract.document().encode(),
        contract.digest,
    )


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a busy machine has more time."""
    monkeypatch.setattr(isolated, "_TIMEOUT", 3 * LIMIT)


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_findings_of_a_process() -> None:
    """The process returns what the function does."""
    found = isolated.breaking(*arguments())
    assert found == documents.breaking(*arguments())
    assert [re.findall(r"\(([a-z-]+)\)", each) for each in found] == [
        ["request-narrowed"],
        ["operation-removed"],
    ]
    assert found[1] == "the running service has no operation refund (operation-removed)"


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_invalid_document_of_a_process() -> None:
    """What is wrong with a document is the error."""
    client, _, digest = arguments()
    with pytest.raises(ValueError, match=r"^running:service/service\.json"):
        isolated.breaking(client, b"\xff", digest)


def test_process_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that does not end is ended."""
    monkeypatch.setattr(isolated, "_TIMEOUT", 0.01)
    with pytest.raises(ValueError, match="cannot be compared: TimeoutExpired"):
        isolated.breaking(*arguments())


@pytest.mark.parametrize("executable", ["", "/usr/bin/uwsgi"])
def test_embedded_interpreter(monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
    """Where Python is part of another program, that one is not started."""
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(ValueError, match="there is no Python interpreter"):
        isolated.breaking(*arguments())


def test_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The program prints the findings as JSON, or what is wrong."""
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    client, service, digest = arguments()
    for text, code in ((service.decode(), 0), ("[]", 1)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps([client, text, digest])))
        assert documents.main() == code
    out, err = capsys.readouterr()
    assert json.loads(out) == documents.breaking(*arguments())
    assert err.startswith("running:service/service.json")


def test_other_contracts_are_not_compared() -> None:
    """The document must be that of the service, with the digest that it reports."""
    client, service, digest = arguments()
    for wrong in (service.replace(b'"shop"', b'"pub"'), service.replace(b"2.0.0", b"2.0.1")):
        with pytest.raises(ValueError, match="not that of the contract"):
            documents.breaking(client, wrong, digest)


def test_compatible_contracts() -> None:
    """What a service has more than its client knows breaks nothing."""
    assert documents.breaking(*arguments(shops.COMPATIBLE)) == []
