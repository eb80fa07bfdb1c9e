"""What is known of the texts of a format."""

from __future__ import annotations

from typing import Final

_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HEX: Final = "[0-9a-fA-F]"
_TIME: Final = r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[zZ]|[+-]\d{2}:\d{2})"

PATTERNS: Final = {
    "date": r"^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$",
    "time": f"^{_TIME}$",
    "date-time": rf"^\d{{4}}-\d{{2}}-\d{{2}}.{_TIME}$",
    "duration": r"^P[0-9YMWDTHS.,]+$",
    "uuid": f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$",
    "email": r"^[\s\S]+@[\s\S]+$",
    "hostname": r"^[A-Za-z0-9._-]+$",
    "ipv4": rf"^{_OCTET}(?:\.{_OCTET}){{3}}$",
    "ipv6": r"^[0-9a-fA-F.:]*:[0-9a-fA-F.:]*$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[!-~]*$",
    "uri-reference": r"^[!-~]*$",
    "json-pointer": r"^(?:\/(?:[^~\/]|~[01])*)*$",
}
"""A pattern for each format that all its texts match."""

EXACT: Final = frozenset({"uuid", "ipv4", "json-pointer"})
"""The formats that have all texts which match the pattern."""

LONGEST: Final = {"date": 10, "hostname": 253, "email": 318, "ipv6": 45}
"""How many characters the texts of a format have at most."""

LONGER: Final = {
    "date-time": (("2024-01-01T00:00:00.", "0", "Z"),),
    "time": (("00:00:00.", "0", "Z"),),
    "duration": (("P", "1", "D"),),
    "email": (("a@", "a.", "a"), (f"{'a' * 64}@", "a.", "a")),
    "hostname": (("", "a.", "a"),),
    "uri": (("a:", "a", ""),),
    "uri-reference": (("", "a", ""),),
    "regex": (("", "a", ""),),
}
"""Texts of a format that may have any length: what begins, is repeated, and ends them."""

INCLUDED: Final = {"uri": "uri-reference"}
"""Formats whose texts all have another one, too."""

SAMPLES: Final = {
    "date": ("2024-02-29", "2023-12-31", "0001-01-01", "1999-06-15"),
    "time": ("10:00:00Z", "23:59:59.123+01:00", "00:00:00z", "08:15:30-05:30"),
    "date-time": (
        "2024-01-01T00:00:00Z",
        "1999-12-31t23:59:59.5+02:00",
        "2024-06-15T12:30:45Z",
        "2016-12-31T23:59:60Z",
    ),
    "duration": ("P1D", "PT1H30M", "P1W", "P1Y2M3DT4H5M6S", "PT1S"),
    "uuid": ("6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11", "00000000-0000-0000-0000-000000000000"),
    "email": (
        "a@b.c",
        "joe.doe@example.com",
        "a@localhost",
        "x+y@example.org",
        "o'b@c.d",
        '"a b"@c.d',
        "a@[127.0.0.1]",
    ),
    "hostname": ("example.com", "a", "localhost", "a-b.example", "a1", "abc", "1a"),
    "ipv4": ("1.2.3.4", "127.0.0.1", "255.255.255.255", "10.0.0.1"),
    "ipv6": ("::1", "::", "fe80::1", "2001:db8::ff00:42:8329", "::ffff:1.2.3.4"),
    "uri": ("a:b", "http://a.b/c", "urn:a:b", "https://example.com/a?b=c#d", "mailto:a@b.c"),
    "uri-reference": ("", "a", "/a", "a:b", "#a", "?a", "http://a.b/c", "../x"),
    "regex": ("", "a", "^a$", "ab", "abc", "a|b", "[a-z]+", "1", "12", "123"),
    "json-pointer": ("", "/a", "/a/b", "/~0", "/a~1b"),
}
"""Some texts of each format."""

BROKEN: Final = {
    "date": ("2024-13-01", "2023-02-29", "2024-1-1", "20240101"),
    "time": ("25:00:00Z", "10:00:00", "10:00Z"),
    "date-time": ("2024-01-01 00:00", "2024-13-01T00:00:00Z", "2024-01-01"),
    "duration": ("P", "1D", "PT", "P1H", "P1S"),
    "hostname": ("-a", "a..b", "a_b", "-", ".", "_"),
    "ipv6": (":", ":::", "1::2::3", "12345::", "1:2"),
    "uri": ("http://a b", "a:[", "/a", "1:a"),
    "uri-reference": ("\\\\a", "[", "a b", "%", "a%zz"),
    "regex": ("(", "[a", "a(", "(a", "(ab", "[", "*", "(1", "(12"),
    "email": ("a", "@", "a@", "a b@c", "@b", "a@@b", "a..b@c.d", "a@-b.c", "\u00e9@b.c"),
    "json-pointer": ("a", "/~2", "~"),
}
"""Some texts that nearly have a format."""
