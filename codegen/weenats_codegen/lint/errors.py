"""The rules that keep a package from being generated."""

from typing import Final

from weenats_codegen.ir.streams import check_streams
from weenats_codegen.lint import operations
from weenats_codegen.lint.aggregates import check_keys
from weenats_codegen.lint.cost import check_cost
from weenats_codegen.lint.names import check_names
from weenats_codegen.lint.previous import check_previous
from weenats_codegen.lint.references import check_references
from weenats_codegen.lint.rule import Rule
from weenats_codegen.lint.schemas import check_schema
from weenats_codegen.lint.shape import check_shape
from weenats_codegen.lint.stored import check_stored
from weenats_codegen.lint.text import check_descriptions

_QUERY: Final = """\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}"""

UNREADABLE_FILE: Final = Rule(
    id="unreadable-file",
    level="error",
    summary="a file of the contract cannot be read",
    why="""\
Files are JSON or YAML in UTF-8, without members that are there twice, inside the contract's folder.
A folder has one service.yaml (or .yml, .json).""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
    result: {type: number}""",
    right=_QUERY,
    check=lambda subject: [*subject.source.diagnostics, *subject.source.resources.diagnostics],
)
CONTRACT_FORMAT: Final = Rule(
    id="contract-format",
    level="error",
    summary="service.yaml does not have the format of contracts",
    why="""\
A member is missing, unknown, or has a value that it cannot have. The contract format is described
beside the meta-schema, with which editors check the file while it is written.""",
    wrong="""\
queries:
  size:
    returns: {type: integer}""",
    right=_QUERY,
    check=lambda subject: check_shape(subject.root),
)
INVALID_SCHEMA: Final = Rule(
    id="invalid-schema",
    level="error",
    summary="a schema is not valid in its dialect of JSON Schema",
    why="""\
Schemas are checked against the meta-schema of their dialect, 2020-12 unless $schema names another
one. Patterns are those of ECMA-262.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {type: int}""",
    right=_QUERY,
    check=lambda subject: [
        diagnostic
        for place in subject.source.resources.schemas
        for diagnostic in check_schema(place)
    ],
)
UNRESOLVED_REFERENCE: Final = Rule(
    id="unresolved-reference",
    level="error",
    summary="a reference leads to no schema",
    why="""\
A $ref leads to a schema of a file in the contract's folder, by path and JSON pointer, by $anchor or
by $id. Nothing is fetched: what is published elsewhere is copied into the folder.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {$ref: '#/$defs/size'}""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result: {$ref: '#/$defs/size'}
$defs:
  size: {type: integer}""",
    check=lambda subject: [
        *subject.bundle.diagnostics,
        *check_references(subject.source),
        *check_cost(subject.bundle),
    ],
)
UNDECLARED_NAME: Final = Rule(
    id="undeclared-name",
    level="error",
    summary="an operation names an error or an event that nobody declares",
    why="""\
The errors and emits of an operation are names of the errors and events of the contract, which say
what they mean and carry.""",
    wrong="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
    errors: [not-measured]""",
    right="""\
queries:
  size:
    description: Show how large it is.
    result: {type: integer}
    errors: [not-measured]
errors:
  not-measured:
    code: FAILED_PRECONDITION
    description: It was not measured yet.""",
    check=lambda subject: operations.check_declared(subject.root),
)
CLASHING_NAME: Final = Rule(
    id="clashing-name",
    level="error",
    summary="two names of the contract are one in Python",
    why="""\
Names become methods, constants and classes: `add-item` and `add_item` are both add_item. Names of
operations, and of events, are unique in a contract, whatever aggregate they belong to.""",
    wrong="""\
queries:
  net-size:
    description: Show how large it is.
    result: {type: integer}
  net_size:
    description: Show how large it was.
    result: {type: integer}""",
    right="""\
queries:
  net-size:
    description: Show how large it is.
    result: {type: integer}
  former-net-size:
    description: Show how large it was.
    result: {type: integer}""",
    check=lambda subject: check_names(subject.root),
)
PACKAGE_NAME: Final = Rule(
    id="package-name",
    level="error",
    summary="the Python package would have the name of a keyword or of another package",
    why="""\
A package that has the name of one that can be imported already hides it, or is hidden by it.""",
    wrong=f"""\
{_QUERY}
python: {{package: json}}""",
    right=f"""\
{_QUERY}
python: {{package: json_service}}""",
    check=lambda subject: operations.check_package(subject.root),
)
KEY_TYPE: Final = Rule(
    id="key-type",
    level="error",
    summary="the key of an aggregate may be something else than a string",
    why="""\
Keys are strings on the wire. With a format such as uuid or date they have the Python type.""",
    wrong="""\
aggregates:
  box:
    description: A box.
    key: {format: uuid}
    state: {type: object}
    queries: {get: {description: Show the box.}}""",
    right="""\
aggregates:
  box:
    description: A box.
    key: {type: string, format: uuid}
    state: {type: object}
    queries: {get: {description: Show the box.}}""",
    check=lambda subject: check_keys(subject.root, subject.bundle),
)
RATE_LIMIT_BURST: Final = Rule(
    id="rate-limit-burst",
    level="error",
    summary="the burst of a rate limit is less than its requests per second",
    why="""\
The burst is how many requests are accepted at once after a pause: a smaller one would make the rate
unreachable.""",
    wrong=f"""\
{_QUERY}
    rateLimit: {{maxRequestsPerSecond: 10, burst: 5}}""",
    right=f"""\
{_QUERY}
    rateLimit: {{maxRequestsPerSecond: 10, burst: 20}}""",
    check=lambda subject: operations.check_rate_limits(subject.root),
)
STORED_AGGREGATE: Final = Rule(
    id="stored-aggregate",
    level="error",
    summary="an aggregate with `store: stream` cannot be kept like that",
    why="""\
The state of such an aggregate is made of its events, which its own commands emit. The runtime
answers the query `get`, without parameters.""",
    wrong="""\
aggregates:
  box:
    description: A box.
    store: stream
    state: {type: object}
    commands: {open: {description: Open the box., payload: {type: object}}}""",
    right="""\
aggregates:
  box:
    description: A box.
    store: stream
    state: {type: object}
    commands: {open: {description: Open the box., payload: {type: object}, emits: [opened]}}
    events: {opened: {description: The box was opened., data: {type: object}}}""",
    check=lambda subject: check_stored(subject.root),
)
STREAM_CONFLICT: Final = Rule(
    id="stream-conflict",
    level="error",
    summary="places of the contract say different things of one stream",
    why="""\
The settings of a stream may be at the service, at aggregates and at events. Where they are about
the same stream they have to agree, since there is one.""",
    wrong="""\
stream: {maxAge: 30d}
events:
  opened:
    description: It was opened.
    data: {type: object}
    stream: {maxAge: 7d}""",
    right="""\
stream: {maxAge: 30d}
events:
  opened:
    description: It was opened.
    data: {type: object}
    stream: {name: box-openings, maxAge: 7d}""",
    check=lambda subject: check_streams(subject.root),
)
UNREADABLE_VERSION: Final = Rule(
    id="unreadable-version",
    level="error",
    summary="the next version of an event cannot be made of an older one",
    why="""\
Stored events keep the version with which they were written. Each older version of an event is
turned into the next one: with members renamed, removed, and added with their defaults, or by a
function that the user writes.""",
    wrong="""\
events:
  opened:
    description: It was opened.
    durable: true
    data: {type: integer, minimum: 1}
    previous:
      - data: {type: integer}""",
    right="""\
events:
  opened:
    description: It was opened.
    durable: true
    data: {type: integer, minimum: 1}
    previous:
      - data: {type: integer}
        upcaster: true""",
    check=lambda subject: check_previous(subject.root, subject.bundle),
)
LARGE_OPERATION: Final = Rule(
    id="large-operation",
    level="error",
    summary="maxBytes of an operation that is not large, or a large command with `once`",
    why="""\
Only payloads and results that travel through the object store have a maximum size of their own. The
reply of a command with `once` is kept in one message.""",
    wrong=f"""\
{_QUERY}
    maxBytes: 10000000""",
    right=f"""\
{_QUERY}
    large: true
    maxBytes: 10000000""",
    check=lambda subject: operations.check_large(subject.root),
)
INVISIBLE_CHARACTER: Final = Rule(
    id="invisible-character",
    level="error",
    summary="a description contains a character that is invisible or reorders text",
    why="""\
Descriptions become docstrings, where such a character would show something else than is there.""",
    wrong="""\
queries:
  size:
    description: "Show how large it \\u202E is."
    result: {type: integer}""",
    right=_QUERY,
    check=lambda subject: check_descriptions(subject.root),
)

ERRORS: Final[tuple[Rule, ...]] = (
    UNREADABLE_FILE,
    CONTRACT_FORMAT,
    INVALID_SCHEMA,
    UNRESOLVED_REFERENCE,
    UNDECLARED_NAME,
    CLASHING_NAME,
    PACKAGE_NAME,
    KEY_TYPE,
    RATE_LIMIT_BURST,
    LARGE_OPERATION,
    STORED_AGGREGATE,
    STREAM_CONFLICT,
    UNREADABLE_VERSION,
    INVISIBLE_CHARACTER,
)
