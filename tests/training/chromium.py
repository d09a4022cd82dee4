import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)


class Browser:
    """A Chromium without a window, spoken to in its DevTools protocol over a pipe."""

    def __init__(self, program: str, profile: Path) -> None:
        hears, self._mouth = os.pipe()
        self._ear, says = os.pipe()
        # It listens at 3 and answers at 4; copies far above cannot be in each other's way.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (hears, says)]
        command = ["/bin/bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", program, *FLAGS]
        self._process = subprocess.Popen(  # noqa: S603
            [*command, f"--user-data-dir={profile}"], pass_fds=ends, stderr=subprocess.DEVNULL
        )
        for end in (hears, says, *ends):
            os.close(end)
        self._heard, self._calls, self._session = b"", 0, ""
        self._events: list[dict[str, Any]] = []
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Show a page in a window of a width, light or dark, or as printed, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )
        dark_or_light = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", media=media, features=[dark_or_light])
        self._events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not self.told("Page.loadEventFired"):
            self._events.append(self._listen())

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """Return what the page shown brought about."""
        return [event["params"] for event in self._events if event["method"] in methods]

    def value(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"]["value"]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol, of the tab once there is one."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._mouth, json.dumps(message).encode() + b"\0")
        while (answer := self._listen()).get("id") != self._calls:
            self._events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        """End the browser."""
        self._session = ""
        self.call("Browser.close")
        self._process.wait()
        os.close(self._mouth)
        os.close(self._ear)

    def _listen(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            part = os.read(self._ear, 1 << 16)
            assert part, "the browser is gone"
            self._heard += part
        message, _, self._heard = self._heard.partition(b"\0")
        event: dict[str, Any] = json.loads(message)
        return event
