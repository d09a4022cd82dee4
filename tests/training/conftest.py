import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
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
