import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from features.configuration import Configuration
from tests.training.chromium import Browser
from tests.training.treated_shop import TOML, orders
from tests.training.whole_report import report
from training.registry import Registry
from training.report_page import page
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
def write_shop(tmp_path: Path) -> Callable[..., Configuration]:
    """Write a shop's log of treatments and its orders, those of `treated_shop` unless others are given."""

    def write(
        log: list[dict[str, Any]], bought: list[dict[str, Any]] | None = None, text: str = TOML
    ) -> Configuration:
        pd.DataFrame(orders() if bought is None else bought).to_csv(tmp_path / "orders.csv", index=False)
        pd.DataFrame(log).to_csv(tmp_path / "treatments.csv", index=False)
        (tmp_path / "tierwise.toml").write_text(text)
        return Configuration.read(tmp_path / "tierwise.toml", environ={})

    return write


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty DuckDB."""
    with duckdb.connect() as opened:
        yield opened


@pytest.fixture(scope="session")
def page_in() -> Callable[[str], str]:
    """Write the page of the whole report in a language, once."""
    return cache(lambda language: page(report(language=language)))


@pytest.fixture(scope="session")
def english(page_in: Callable[[str], str]) -> str:
    """The page of the whole report in English."""
    return page_in("en")


@pytest.fixture
def no_window() -> Iterator[None]:
    """Draw without a window, and let go of what was drawn."""
    backend = mpl.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


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
