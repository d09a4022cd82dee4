from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from training.gathering import Record, measures_of
from training.registry import Registry
from training.versions import TrainingRun, Version

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)


def ago(days: int) -> datetime:
    return AS_OF - timedelta(days=days)


PERIODS = pd.DataFrame(
    [
        ("rose", "value_tier", "low", ago(90), ago(20)),
        ("rose", "value_tier", "high", ago(20), None),
        ("stayed", "value_tier", "low", ago(40), None),
        ("stayed", "lifecycle_stage", "repeat", ago(40), None),
    ],
    columns=["customer_id", "kind", "name", "started_at", "ended_at"],
)


def record(*runs_days_ago: int, periods: pd.DataFrame = PERIODS) -> Record:
    return Record(
        run_id="june",
        as_of=AS_OF,
        model_version="1",
        placement=None,
        expected={"horizon_days": 90, "tiers": ["high", "low"], "rows": [[3, 1], [0, 0]]},
        scores=pd.DataFrame(),
        periods=periods,
        runs=[*map(ago, runs_days_ago), AS_OF],
    )


@pytest.mark.parametrize(
    ("runs", "since"),
    [
        pytest.param([90, 40, 28, 7], 28, id="the-latest-of-four-weeks-ago"),
        pytest.param([20, 7], 20, id="else-the-first"),
    ],
)
def test_moves_are_told_over_four_weeks_where_there_are_as_many(runs: list[int], since: int) -> None:
    moves = record(*runs).moves()
    assert moves is not None
    assert (moves.since, moves.until) == (ago(since), AS_OF)


def test_moves_are_those_of_tiers_alone() -> None:
    moves = record(28).moves()
    assert moves is not None
    assert moves.ordered(["high", "low"]).to_dict("index") == {
        "high": {"high": 0, "low": 0},
        "low": {"high": 1, "low": 1},
    }


def test_expected_moves_are_shares_of_each_tier() -> None:
    moves = record(28).moves()
    assert moves is not None
    assert moves.expected is not None
    assert moves.expected.loc["high"].to_dict() == {"high": 0.75, "low": 0.25}
    assert moves.expected.loc["low"].isna().all()


def test_there_are_no_moves_before_a_second_run_or_without_tiers() -> None:
    assert record().moves() is None
    assert record(28, periods=PERIODS.head(0)).moves() is None


def test_the_measures_are_those_that_the_training_left_of_all_models(
    tmp_path: Path, training: TrainingRun, registry_in: Callable[..., Registry]
) -> None:
    left = "model,metric,estimate,low,high\ntrees,auc,0.8,0.7,0.9\nrival,auc,0.7,0.6,0.8\n"
    version, registry = _registered(tmp_path, replace(training, texts={"evaluation.csv": left}), registry_in)
    measures = measures_of(registry, version)
    assert measures is not None
    assert measures["model"].tolist() == ["trees", "rival"]


def test_else_the_measures_are_those_that_the_registry_remembers(
    tmp_path: Path, training: TrainingRun, registry_in: Callable[..., Registry]
) -> None:
    version, registry = _registered(tmp_path, training, registry_in)
    measures = measures_of(registry, version)
    assert measures is not None
    assert measures[["model", "metric", "estimate"]].to_numpy().tolist() == [["trees", "auc", 0.81]]
    assert measures_of(registry, replace(version, metrics={})) is None


def _registered(
    folder: Path, training: TrainingRun, registry_in: Callable[..., Registry]
) -> tuple[Version, Registry]:
    (folder / "bundle").mkdir()
    (folder / "bundle" / "manifest.json").write_text("first")
    registry = registry_in(folder / "workspace")
    return registry.log(training, bundle=folder / "bundle", digest="first"), registry
