"""Draws the page of the sample contract: `python -m testkit.page_picture [FOLDER]`."""

from __future__ import annotations

import re
import struct
import sys
import tempfile
import zlib
from html import unescape
from pathlib import Path
from typing import Final

from testkit.chromium import Browser
from testkit.paths import REPOSITORY
from weenats_codegen.docs.page import page
from weenats_codegen.generate import read_contracts

FOLDER: Final = REPOSITORY / "codegen" / "docs"
NAMES: Final = {False: "page-light.png", True: "page-dark.png"}
"""The pictures, by whether they are dark."""
_OPERATION: Final = "receipts.op-remove-item"
_WORDS: Final = b"zTXt" + b"Words\0" + b"\0"  # the keyword, and zlib as the way of compression
_SHOW: Final = f"""
document.getElementById("{_OPERATION}").scrollIntoView();
await new Promise((resolve) => requestAnimationFrame(resolve));
"""


def html() -> str:
    """Return the page of the sample contract."""
    return page(read_contracts([REPOSITORY / "schemas/receipts"]))


def words(text: str) -> str:
    """Return what a page says of the operation that the pictures show, up to its errors."""
    start = text.index(f'<article id="{_OPERATION}"')
    shown = text[start : text.index("<details", start)]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())


def drawn_words(picture: bytes) -> str:
    """Return the words that a picture was drawn with."""
    start = picture.index(_WORDS)
    (size,) = struct.unpack(">I", picture[start - 4 : start])
    return zlib.decompress(picture[start + len(_WORDS) : start + 4 + size]).decode()


def draw(folder: Path) -> None:
    """Draw the pictures into a folder."""
    text = html()
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "page.html")
        file.write_text(text, encoding="utf-8")
        with Browser(Path(temporary, "profile")) as browser:
            for is_dark, name in NAMES.items():
                with browser.tab(width=1100, height=640, is_dark=is_dark) as tab:
                    tab.open(file).evaluate(_SHOW)
                    (folder / name).write_bytes(_with_words(tab.screenshot(), words(text)))


def _with_words(picture: bytes, text: str) -> bytes:
    """Return a picture with a comment: a chunk after that of its size."""
    content = _WORDS + zlib.compress(text.encode())
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    end = picture.index(b"IHDR") + 4 + 13 + 4
    return picture[:end] + chunk + picture[end:]


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
