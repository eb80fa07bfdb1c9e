"""Libraries: packages of models that the contracts of several services share."""

from collections.abc import Mapping
from typing import Final

__all__ = ["Library"]


class Library:
    """What a generated library of models was made from; its module `library` has one.

    Args:
        package: the Python package of the library.
        digests: a digest of each schema and its model, by the name of the model.

    Attributes:
        package: the Python package of the library.
    """

    def __init__(self, package: str, digests: Mapping[str, str]) -> None:
        self.package: Final = package
        self._digests: Final = dict(digests)

    def require(self, package: str, digests: Mapping[str, str]) -> None:
        """Check that a package was generated with the schemas that this library was generated from.

        Generated packages do this when they are imported.

        Args:
            package: The package that uses the library.
            digests: The digests of the schemas that it uses, by the names of their models.

        Raises:
            ImportError: The library lacks one of these schemas, or has it in another version.
        """
        other = [name for name, digest in digests.items() if self._digests.get(name) != digest]
        if other:
            raise ImportError(
                f"{package} was generated with other schemas of the library {self.package} than"
                f" those that are installed ({', '.join(other)}): run `weenats generate` for both,"
                " or install the versions that belong together",
                name=self.package,
            )
