"""The files of one contract: each is read once, and none outside the contract's folder."""

from collections.abc import Iterable
from pathlib import Path

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.refs import target
from weenats_codegen.parser.syntax import MAX_BYTES, parse
from weenats_codegen.parser.walk import Node, contract_schemas, walk


class Reader:
    """Reads a service.yaml and every schema file that a `$ref` reaches from there.

    Attributes:
        files: The content of each file, by its path as the user knows it.
        diagnostics: The errors in the files, and the `$ref`s to files that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Initialize a reader that has read nothing yet."""
        self.files: dict[str, Node] = {}
        self.diagnostics: list[Diagnostic] = []
        self._folder = folder
        self._seen: set[str] = set()

    def read_contract(self, name: str) -> Node | None:
        """Read service.yaml and every file that it reaches.

        Args:
            name: The name of the file in the contract's folder.

        Returns:
            The content of service.yaml, None if it cannot be read.
        """
        location = Location((self._folder / name).as_posix())
        refusal = self._refusal(location.file)
        if refusal is not None:
            self.diagnostics.append(Diagnostic(location, *refusal))
            return None
        root = self._read(location.file)
        if root is not None:
            self._read_references(contract_schemas(root))
        return root

    def _read_references(self, schemas: Iterable[Node]) -> None:
        # A list instead of recursion: a chain of files may be longer than Python's stack.
        pending = list(schemas)
        while pending:
            for schema in walk(pending.pop()):
                file = None if schema.ref is None else self._file(schema, schema.ref)
                if file is not None:
                    pending.append(file)

    def _file(self, schema: Node, ref: str) -> Node | None:
        """Read the file that a `$ref` refers to, unless that was done before."""
        location = schema.location.child("$ref")
        try:
            file = target(self._folder, location, ref).file
        except ContractError as error:
            self.diagnostics += error.diagnostics
            return None
        if file in self._seen:
            return None
        refusal = self._refusal(file)
        if refusal is not None:
            # The file is not marked as seen: it is reported at each $ref to it.
            message = f"the $ref {quoted(ref)} refers to a file that {refusal[0]}"
            self.diagnostics.append(Diagnostic(location, message, refusal[1]))
            return None
        return self._read(file)

    def _refusal(self, file: str) -> tuple[str, str] | None:
        """Return why a file must not be opened, and what to do about it."""
        try:
            real = Path(file).resolve()
            if not real.is_relative_to(self._folder.resolve()):
                return "is a link out of the contract's folder", "put the file itself there"
            if not real.exists():
                return "does not exist", "correct the path, or create the file"
            if not real.is_file():
                return "is not a regular file", "put a file there"
        except (OSError, RuntimeError, ValueError):  # no permission, circular links, a NUL
            return "cannot be accessed", "fix its permissions or links"
        return None

    def _read(self, file: str) -> Node | None:
        self._seen.add(file)
        location = Location(file)
        try:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
            parsed = parse(file, content)
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            self.diagnostics.append(Diagnostic(location, message, "fix its permissions"))
            return None
        except ContractError as error:
            self.diagnostics += error.diagnostics
            return None
        self.diagnostics += parsed.diagnostics
        self.files[file] = Node(location, parsed.value)
        return self.files[file]
