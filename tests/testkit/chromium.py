"""Headless Chromium, spoken to over its DevTools pipe: what scripts find, and how pages look."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from testkit.npm import unavailable

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TIMEOUT: Final = 100
_OPTIONS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--remote-debugging-pipe"),
)
_WITH_PIPES: Final = 'exec "${@:3}" 3<&"$1" 4>&"$2"'
"""Chromium reads commands from the descriptor 3, and writes to 4."""


def chromium() -> str:
    """Return the path of Chromium; without it the test is skipped."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        unavailable("there is no Chromium: apt-get install chromium")
    assert found is not None
    return found


class Browser:
    """A Chromium that runs for many pages."""

    def __init__(self, profile: Path) -> None:
        """Start Chromium.

        Args:
            profile: a folder of its own.
        """
        commands, self._commands = os.pipe()
        self._messages, messages = os.pipe()
        self._buffer = b""
        self._last = 0
        self._events: list[dict[str, Any]] = []
        program = (chromium(), *_OPTIONS, f"--user-data-dir={profile}", "about:blank")
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", _WITH_PIPES, "bash", str(commands), str(messages), *program],
            pass_fds=(commands, messages),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(messages)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self.send("Browser.close")
            self._process.wait(_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._commands)
            os.close(self._messages)

    def send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol; return its result."""
        self._last += 1
        number = self._last
        command: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        answer = self._until(lambda message: message.get("id") == number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def wait(self, method: str, session: str) -> dict[str, Any]:
        """Return the next event of a kind, which may have come already."""

        def is_it(message: dict[str, Any]) -> bool:
            return message.get("method") == method and message.get("sessionId") == session

        found = next(filter(is_it, self._events), None)
        if found is None:
            found = self._until(is_it)
        else:
            self._events.remove(found)
        return dict(found["params"])

    def taken(self, method: str, session: str) -> list[dict[str, Any]]:
        """Return the events of a kind that have come, and forget them."""
        found = [
            each
            for each in self._events
            if (each.get("method"), each.get("sessionId")) == (method, session)
        ]
        self._events = [each for each in self._events if each not in found]
        return [each["params"] for each in found]

    def _until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read messages, keep events, and return the first message that is wanted."""
        while True:
            message = self._read()
            if is_it(message):
                return message
            self._events.append(message)

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _TIMEOUT
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._messages], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            part = os.read(self._messages, 1 << 20)
            assert part, "Chromium has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def tab(self, *, width: int, height: int = 900, is_dark: bool = False) -> Tab:
        """Open a tab.

        Args:
            width: the width of the window, in pixels.
            height: its height.
            is_dark: whether the user prefers dark pages.
        """
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        tab.send("Page.enable")
        tab.send("Network.enable")
        tab.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        tab.send("Emulation.setEmulatedMedia", features=[scheme])
        return tab


class Tab:
    """A tab of the browser."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser = browser
        self._target = target
        self._session = session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._browser.send("Target.closeTarget", targetId=self._target)

    def send(self, method: str, **parameters: Any) -> Any:
        """Send a command for this tab; return its result."""
        return self._browser.send(method, self._session, **parameters)

    def open(self, page: Path | str) -> Self:
        """Load a file or a URL, and wait for all that it loads."""
        self.send("Page.navigate", url=page if isinstance(page, str) else page.as_uri())
        return self.loaded()

    def loaded(self) -> Self:
        """Wait until a page, such as one that loads itself again, is loaded."""
        self._browser.wait("Page.loadEventFired", self._session)
        return self

    def requested(self) -> list[str]:
        """Return the URLs that were requested since the last call."""
        events = self._browser.taken("Network.requestWillBeSent", self._session)
        return [each["request"]["url"] for each in events]

    def evaluate(self, script: str) -> Any:
        """Return what an async JavaScript function returns.

        Args:
            script: the body of the function.
        """
        found = self.send(
            "Runtime.evaluate",
            expression=f"(async () => {{ {script} }})()", awaitPromise=True, returnByValue=True,
        )  # fmt: skip
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, **options: Any) -> bytes:
        """Return a picture of what the window shows, as PNG unless `options` say otherwise."""
        found = self.send("Page.captureScreenshot", **options)
        return base64.b64decode(found["data"])
