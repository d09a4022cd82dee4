import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from training.registry import Registry
from training.versions import TrainingRun, Version


@pytest.fixture(scope="session")
def registry_in() -> Callable[..., Registry]:
    """Open the registry of one project in a workspace."""

    def open_registry(workspace: Path, *, wait_seconds: float = 60.0) -> Registry:
        return Registry.open(workspace, project="Käse & 客户/uk's", wait_seconds=wait_seconds)

    return open_registry


@pytest.fixture(scope="session")
def training() -> TrainingRun:
    """A training of September 2011 with parameters, a metric, a plot and a text."""
    figure = Figure()
    figure.subplots().plot([0, 1])
    return TrainingRun(
        name="trees of September",
        kind="trees",
        as_of=datetime(2011, 9, 1, tzinfo=UTC),
        params={f"feature_{number}": number for number in range(120)},
        metrics={"auc": 0.81},
        figures={"calibration.png": figure},
        texts={"evaluation.md": "| trees | 0.81 |"},
    )


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory, training: TrainingRun) -> Callable[..., Version]:
    """Register the training with a bundle of this digest, which is also what its manifest says."""

    def register(registry: Registry, digest: str) -> Version:
        bundle = tmp_path_factory.mktemp("made")
        (bundle / "trees").mkdir()
        (bundle / "manifest.json").write_text(digest)
        (bundle / "trees" / "churn.txt").write_text("tree")
        return registry.log(training, bundle=bundle, digest=digest)

    return register


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    registry_in: Callable[..., Registry],
    log: Callable[..., Version],
) -> Path:
    """A workspace with one version, to copy: making MLflow's tables takes seconds."""
    workspace = tmp_path_factory.mktemp("trained") / "my shop"
    log(registry_in(workspace), "first")
    return workspace


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A workspace with version 1, digest 'first', no alias."""
    return shutil.copytree(trained, tmp_path / "workspace")


@pytest.fixture
def no_window() -> Iterator[None]:
    """Draw without a window, and let go of what was drawn."""
    backend = mpl.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-quic"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
HELD = """
[...document.querySelectorAll("svg, table, p, h1, h2, h3, dl, nav")]
  .filter(one => {
    const box = one.closest(".wide, .broad") ?? one, {left, right} = box.getBoundingClientRect();
    return left < -1 || right > innerWidth + 1;
  }).map(one => one.outerHTML.slice(0, 90))
"""
"""What sticks out of the window."""
OVERLAPPING = """
[...document.querySelectorAll("section, header, section > *, .beside > *")].flatMap(one =>
  [...one.parentElement.children].filter(two => one !== two).filter(two => {
    const a = one.getBoundingClientRect(), b = two.getBoundingClientRect();
    return a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  }).map(two => [one.outerHTML.slice(0, 90), two.outerHTML.slice(0, 90)]))
"""
"""What lies on each other of what should stand below or beside each other."""


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


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium is installed; Debian and Ubuntu have it as chromium")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def assert_shown_well(browser: Browser) -> Callable[..., None]:
    """Assert that a page fetches nothing, that nothing in it errs, and that its layout holds at a width."""

    def assert_shown_well(page: Path, *, width: int, scheme: str = "light", media: str = "screen") -> None:
        browser.open(page, width=width, scheme=scheme, media=media)
        fetched = [event["request"]["url"] for event in browser.told("Network.requestWillBeSent")]
        assert [url for url in fetched if not url.startswith("data:")] == [page.as_uri()]
        assert browser.told("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value(HELD) == []
        assert browser.value(OVERLAPPING) == []

    return assert_shown_well
