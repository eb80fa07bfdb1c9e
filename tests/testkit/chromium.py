"""A page in headless Chromium: what a script finds in it, and how it looks."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any, Final

from testkit.npm import unavailable

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_RESULT: Final = re.compile(r'<pre id="test-result">(.*?)</pre>', re.DOTALL)
_TIMEOUT: Final = 100


def chromium() -> str:
    """Return the path of Chromium; without it the test is skipped."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        unavailable("there is no Chromium: apt-get install chromium")
    assert found is not None
    return found


def evaluate(page: Path, script: str, *, width: int, is_dark: bool) -> Any:
    """Return what an async JavaScript function returns in a page, as JSON.

    Args:
        page: the page; a copy with the script is made beside it.
        script: the body of the function.
        width: the width of the window, in pixels.
        is_dark: whether the user prefers dark pages.
    """
    code = f"""<script>(async () => {{ {script} }})().then(
      (value) => JSON.stringify(value), (error) => JSON.stringify({{error: String(error)}})
    ).then((text) => {{
      const part = document.createElement("pre");
      part.id = "test-result"; part.textContent = text; document.body.append(part);
    }});</script></body>"""
    copy = page.with_name(f"test-{width}-{is_dark}.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", code), encoding="utf-8")
    printed = _run(copy, "--dump-dom", width=width, is_dark=is_dark).decode()
    found = _RESULT.search(printed)
    assert found is not None, printed[-2000:]
    return json.loads(unescape(found[1]))


def screenshot(page: Path, picture: Path, *, width: int, height: int, is_dark: bool) -> bytes:
    """Write a picture of a page, and return it."""
    _run(page, f"--screenshot={picture}", width=width, is_dark=is_dark, height=height)
    return picture.read_bytes()


def _run(page: Path, *options: str, width: int, is_dark: bool, height: int = 900) -> bytes:
    profile = page.parent / f"profile-{page.stem}"
    command = [
        chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run",
        f"--user-data-dir={profile}", f"--window-size={width},{height}",
        "--virtual-time-budget=20000", f"--blink-settings=preferredColorScheme={int(not is_dark)}",
        *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
