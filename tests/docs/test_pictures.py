"""The pictures in the guides show the project as it is.

To draw one anew, in the folder `tests`: `python -m testkit.demo_picture`,
`python -m testkit.trace_picture`, `python -m testkit.page_picture` (which needs Chromium).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testkit import demo_picture, page_picture, trace_picture
from testkit.documents import document
from testkit.forks import forked


def shape(picture: str) -> list[tuple[str, str, str]]:
    """Return the indentation, the name and the kind of each span that is drawn."""
    return re.findall(r'<text x="(\d+)" y="\d+" fill="#1f2328">(.*?) <tspan .*?>([A-Z]+)<', picture)


def test_trace_picture_is_fresh(tmp_path: Path) -> None:
    """Drawn anew, the trace has the same spans, of the same kinds, with the same parents."""
    target, log = tmp_path / "trace.svg", tmp_path / "log.txt"
    with forked(trace_picture.draw, target, cwd=tmp_path, stdout=log) as process:
        process.join()
        assert process.exitcode == 0, log.read_text()
    assert shape(target.read_text()) == shape(trace_picture.PICTURE.read_text())
    assert len(shape(target.read_text())) == 5


@pytest.mark.slow
def test_demo_picture_is_fresh() -> None:
    """Drawn anew, the demo prints the same words, but for durations, ports and ids."""
    picture = demo_picture.drawn(demo_picture.printed())
    assert demo_picture.words(picture) == demo_picture.words(demo_picture.PICTURE.read_text())


def test_page_pictures_are_fresh() -> None:
    """The pictures of the page in the README say what the page says, and load quickly."""
    words = page_picture.words(page_picture.html())
    assert "FAILED_PRECONDITION" in words
    for name in page_picture.NAMES.values():
        picture = (page_picture.FOLDER / name).read_bytes()
        assert page_picture.drawn_words(picture) == words, "draw it anew"
        assert len(picture) < 150_000
        assert f'="codegen/docs/{name}"' in document("README.md").text


@pytest.mark.slow
def test_page_pictures_can_be_drawn(tmp_path: Path) -> None:
    """The command draws one in light and one in dark."""
    page_picture.draw(tmp_path)
    light, dark = ((tmp_path / name).read_bytes() for name in page_picture.NAMES.values())
    assert light.startswith(b"\x89PNG")
    assert page_picture.drawn_words(light) == page_picture.drawn_words(dark)
    assert light != dark
