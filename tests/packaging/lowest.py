"""Print pip constraints that hold each requirement of a project at its lower bound.

Usage: `lowest.py PYPROJECT`. An installation under these constraints has the oldest dependencies
that the project claims to work with.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

BOUNDED = re.compile(r"(?P<name>[\w.-]+)(\[[\w,.-]+\])?(>=|==|~=)(?P<lower>[\w.]+)")


def lowest(project: dict[str, Any]) -> list[str]:
    """Return `name==lower` for each requirement of the base install and of the extras.

    Raises:
        ValueError: a requirement has no lower bound.
    """
    own = f"{project['name']}["
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(each for extra in extras for each in extra)]
    return sorted({constraint(each) for each in listed if not each.startswith(own)})


def constraint(requirement: str) -> str:
    """Return what holds a requirement at its lower bound; a pinned one stays where it is."""
    bounded = BOUNDED.match(requirement)
    if bounded is None:
        raise ValueError(f"{requirement} has no lower bound")
    return f"{bounded['name']}=={bounded['lower']}"


if __name__ == "__main__":
    pyproject = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{each}\n" for each in lowest(pyproject["project"]))
