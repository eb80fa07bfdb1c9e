"""Building and parsing of subjects, with hostile input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weenats.protocol import subjects
from weenats.protocol.subjects import Kind, SubjectError

SERVICES = st.from_regex(r"[a-z][a-z0-9-]{0,49}", fullmatch=True)
COMPONENTS = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,49}", fullmatch=True)
BAD = [
    "", " ", "a b", "a.b", "*", ">", "a*", "a>", "$SRV", "a\n", "\na", "a\r\nPUB x 0", "a\x00",
    "a\t", "1a", "-a", "_a", "é", "aé", "٣", "a٣", "a\u200b", "a" * 51, "\ud800", "a/b", 'a"',
]  # fmt: skip
VALID_VERSIONS = """
0.0.4 1.2.3 10.20.30 1.1.2-prerelease+meta 1.1.2+meta 1.1.2+meta-valid 1.0.0-alpha 1.0.0-beta
1.0.0-alpha.beta 1.0.0-alpha.beta.1 1.0.0-alpha.1 1.0.0-alpha0.valid 1.0.0-alpha.0valid
1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay 1.0.0-rc.1+build.1 2.0.0-rc.1+build.123
1.2.3-beta 10.2.3-DEV-SNAPSHOT 1.2.3-SNAPSHOT-123 1.0.0 2.0.0 1.1.7 2.0.0+build.1848
2.0.1-alpha.1227 1.0.0-alpha+beta 1.2.3----RC-SNAPSHOT.12.9.1--.12+788
1.2.3----R-S.12.9.1--.12+meta 1.2.3----RC-SNAPSHOT.12.9.1--.12 1.0.0+0.build.1-rc.10000aaa-kk-0.1
99999999999999999999999.999999999999999999.99999999999999999 1.0.0-0A.is.legal
""".split()  # noqa: SIM905 - the list of semver.org
INVALID_VERSIONS = """
1 1.2 1.2.3-0123 1.2.3-0123.0123 1.1.2+.123 +invalid -invalid -invalid+invalid -invalid.01 alpha
alpha.beta alpha.beta.1 alpha.1 alpha+beta alpha_beta alpha. alpha.. beta 1.0.0-alpha_beta -alpha.
1.0.0-alpha.. 1.0.0-alpha..1 1.0.0-alpha...1 1.0.0-alpha....1 01.1.1 1.01.1 1.1.01 1.2.3.DEV
1.2-SNAPSHOT 1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788 1.2-RC-SNAPSHOT -1.0.3-gamma+b7718
+justmeta 9.8.7+meta+meta 9.8.7-whatever+meta+meta
""".split()  # noqa: SIM905 - the list of semver.org


@given(SERVICES, st.sampled_from(Kind), COMPONENTS, COMPONENTS)
def test_built_subject_is_parsed_back(service: str, kind: Kind, aggregate: str, name: str) -> None:
    """build() and parse() are inverse, and str() of a Subject is the subject."""
    built = subjects.build(service, kind, aggregate, name)
    assert built.split(".") == [service, kind.value, aggregate, name]


@pytest.mark.parametrize("bad", BAD)
def test_invalid_components_are_rejected(bad: str) -> None:
    """No part of a subject accepts wildcards, whitespace, non-ASCII letters or overlong names."""
    for arguments in (
        (bad, Kind.COMMAND, "thing", "run"),
        ("probe", Kind.COMMAND, bad, "run"),
        ("probe", Kind.COMMAND, "thing", bad),
    ):
        with pytest.raises(SubjectError):
            subjects.build(*arguments)
    for check in (subjects.check_service_name, subjects.check_component, subjects.health):
        with pytest.raises(SubjectError):
            check(bad)


def test_maximum_name_lengths() -> None:
    """Names of the maximum length are accepted, longer ones are not."""
    assert subjects.check_component("A" * 50) == "A" * 50
    assert subjects.check_service_name("a" * 50) == "a" * 50
    assert subjects.check_queue_group("a" * 100) == "a" * 100
    with pytest.raises(SubjectError, match=r"^a queue group name has at most 100 .*, not 101$"):
        subjects.check_queue_group("a" * 101)


@pytest.mark.parametrize("bad", ["", "A", "a_b", "a.b", "*", "a b", "a\n", "1a", "é", 5, None])
def test_invalid_queue_groups_are_rejected(bad: Any) -> None:
    """A queue group has lower-case letters, digits and dashes only."""
    with pytest.raises(SubjectError, match="queue group"):
        subjects.check_queue_group(bad)


def test_discovery_subjects_follow_adr_32() -> None:
    """The control subjects are those of ADR-32, under any prefix."""
    assert subjects.discovery("PING") == "$SRV.PING"
    assert subjects.discovery("INFO", "probe") == "$SRV.INFO.probe"
    assert subjects.discovery("STATS", "probe", "01ABC") == "$SRV.STATS.probe.01ABC"
    assert subjects.discovery("PING", prefix="$OTHER") == "$OTHER.PING"
    assert subjects.health("probe") == "probe.health"


def test_service_level_subjects() -> None:
    """Cancel and monitoring subjects have two parts."""
    assert subjects.cancel("probe") == "probe.cancel"
    assert subjects.monitoring("probe") == "probe.monitoring"
    for bad in BAD:
        with pytest.raises(SubjectError):
            subjects.cancel(bad)
        with pytest.raises(SubjectError):
            subjects.monitoring(bad)


def test_operation_of_the_service_itself() -> None:
    """Its subject has no aggregate; its name is checked all the same."""
    assert subjects.build("probe", Kind.QUERY, None, "find") == "probe.query.find"
    with pytest.raises(SubjectError):
        subjects.build("probe", Kind.QUERY, None, "a.b")


def test_subjects_of_instances() -> None:
    """An operation has a subject on each instance; wildcards stand for instances or operations."""
    query = subjects.build("probe", Kind.QUERY, "thing", "find")
    assert subjects.on_instance(query, "01ABC") == "probe.instance.01ABC.query.thing.find"
    assert subjects.on_each_instance(query) == "probe.instance.*.query.thing.find"
    assert subjects.all_on_instance("probe", "01ABC") == "probe.instance.01ABC.>"
    assert subjects.all_on_instance("probe") == "probe.instance.*.>"
    with pytest.raises(SubjectError, match="'Probe' is not a valid service name"):
        subjects.all_on_instance("Probe", "01ABC")


@pytest.mark.parametrize("bad", ["", "*", ">", "a.b", "a b", "a\r\nPUB x 0", "\x7f", "\ud800"])
def test_invalid_instances_are_rejected(bad: str) -> None:
    """The id of an instance, which others may have made up, is one token of a subject."""
    for check in (
        partial(subjects.on_instance, "probe.query.find"),
        partial(subjects.all_on_instance, "probe"),
    ):
        with pytest.raises(SubjectError, match=r"is not a valid part of a subject: it must match"):
            check(bad)


@pytest.mark.parametrize("prefix", ["_INBOX", "mine.inbox", "_INBOX_a-b.c.d"])
def test_valid_inbox_prefix_is_accepted(prefix: str) -> None:
    """A prefix of one or several tokens is returned unchanged."""
    assert subjects.check_inbox_prefix(prefix) == prefix


@pytest.mark.parametrize("bad", ["", "a..b", ".a", "a.", "a.*", ">", "a b", "a\r\nPUB x 0", "\x7f"])
def test_invalid_inbox_prefix_is_rejected(bad: str) -> None:
    """Wildcards, empty tokens and protocol lines are rejected."""
    with pytest.raises(SubjectError):
        subjects.check_inbox_prefix(bad)


@pytest.mark.parametrize(
    ("check", "what"),
    [
        (subjects.check_service_name, "service name"),
        (subjects.check_component, "subject component"),
        (subjects.check_queue_group, "queue group name"),
        (subjects.check_inbox_prefix, "part of an inbox prefix"),
        (subjects.check_version, "semantic version"),
        (partial(subjects.discovery, "INFO"), "part of a discovery subject"),
    ],
)
def test_error_shows_the_value_and_the_expected_pattern(
    check: Callable[[str], str], what: str
) -> None:
    """The error for an invalid name shows it and the expected pattern."""
    text = rf"^'a b' is not a valid {what}: it must match \^.+\$$"
    with pytest.raises(SubjectError, match=text):
        check("a b")


@pytest.mark.parametrize("bad", ["", "*", ">", "a.b", "a b", "a\r\nPUB x 0", "a\n", "\x7f"])
def test_invalid_discovery_parts_are_rejected(bad: str) -> None:
    """Wildcards, several parts and protocol lines are rejected as service or instance id."""
    with pytest.raises(SubjectError):
        subjects.discovery("INFO", "probe", bad)
    with pytest.raises(SubjectError):
        subjects.discovery("INFO", bad)


@pytest.mark.parametrize("version", VALID_VERSIONS)
def test_valid_semantic_versions_are_accepted(version: str) -> None:
    """Every valid example of semver.org is accepted."""
    assert subjects.check_version(version) == version


@pytest.mark.parametrize("version", [*INVALID_VERSIONS, "", "1.0.0\n", " 1.0.0", "1.0.٣", "v1.0.0"])
def test_invalid_semantic_versions_are_rejected(version: str) -> None:
    """Every invalid example of semver.org is rejected, as are line breaks and other digits."""
    with pytest.raises(SubjectError, match="semantic version"):
        subjects.check_version(version)


@pytest.mark.parametrize("name", ["orders", "MyService", "my_service-2", "9lives"])
def test_name_of_any_framework_is_accepted(name: str) -> None:
    """ADR-32 allows more names of services than contracts do."""
    assert subjects.check_discovered_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a.b", "*", ">", "a\r\n", "é"])
def test_name_that_adr_32_forbids_is_rejected(name: str) -> None:
    """A name that would change a subject is refused, and the error says what it is."""
    with pytest.raises(SubjectError, match=r"service name"):
        subjects.check_discovered_name(name)


@pytest.mark.parametrize("wire", [b"a.b", "é".encode(), b"\xff", b"a.\xc3", b"\xed\xa0\x80"])
def test_subject_of_any_bytes_is_kept(wire: bytes) -> None:
    """A subject that is not UTF-8 is the same bytes again on the wire."""
    assert subjects.encode_subject(subjects.decode_subject(wire)) == wire


def test_valid_subjects_are_plain_text() -> None:
    """A subject that is UTF-8 is decoded as such; what is no byte of a subject is an error."""
    assert subjects.decode_subject("é".encode()) == "é"
    assert subjects.encode_subject("é") == b"\xc3\xa9"
    with pytest.raises(UnicodeEncodeError):
        subjects.encode_subject("a\ud800")


def test_subjects_of_commits() -> None:
    """Commits are found by service, aggregate and key."""
    assert subjects.commits("orders") == "orders.commits.>"
    assert subjects.commits_of_key("orders", 3, "order", "o.1") == "orders.commits.3.order.o=2E1"
    assert subjects.commits_of_key("orders", 0, None, "o-1") == "orders.commits.0.*.o-1"
    assert subjects.commits_of("orders", "order") == "orders.commits.*.order.*"
    assert subjects.contract("orders") == "orders.contract"
    for call in (lambda: subjects.commits("a b"), lambda: subjects.commits_of("orders", "*")):
        with pytest.raises(SubjectError, match="is not a valid"):
            call()


@pytest.mark.parametrize(
    ("key", "token"),
    [
        ("o-1", "o-1"),
        ("a_Z9", "a_Z9"),
        ("a.b", "a=2Eb"),
        ("é=", "=C3=A9=3D"),
        ("*", "=2A"),
    ],
)
def test_keys_are_one_token(key: str, token: str) -> None:
    """A key has one token, which gives the key again."""
    assert subjects.key_token(key) == token
    assert subjects.key_of_token(token) == key
