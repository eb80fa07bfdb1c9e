"""The picture of a trace in the README is that of the sample as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from testkit import trace_picture


def shape(picture: str) -> list[tuple[str, str, str]]:
    """Return the indentation, the name and the kind of each span that is drawn."""
    return re.findall(r'<text x="(\d+)" y="\d+" fill="#1f2328">(.*?) <tspan .*?>([A-Z]+)<', picture)


def test_the_picture_is_fresh(tmp_path: Path) -> None:
    """Drawn anew, it shows the same spans, of the same kinds, below the same ones."""
    target = tmp_path / "trace.svg"
    subprocess.run(
        [sys.executable, trace_picture.__file__, target],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=60,
        check=True,
    )
    assert shape(target.read_text()) == shape(trace_picture.PICTURE.read_text())
    assert len(shape(target.read_text())) == 5
