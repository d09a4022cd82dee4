import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from features.configuration import Configuration
from features.errors import InputError
from tests.corner_shop import configuration_text, write_corner_shop
from training.backtest import Report, backtest
from training.backtest_tables import shown
from training.rolling import PLAIN, SEASONAL
from training.tracking import Tracking

BASELINES = {"Pareto/NBD", "BG/NBD", "own past rate", "recency rule", "LightGBM on RFM"}


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """A small simulated shop of a year."""
    folder = tmp_path_factory.mktemp("corner")
    file = write_corner_shop(folder, customers=60, days=365, horizon_days=60)
    return Configuration.read(file, environ={})


@pytest.fixture(scope="module")
def report(configuration: Configuration) -> Report:
    """Its backtest."""
    return backtest(configuration)


def test_every_baseline_stands_beside_the_model_at_every_origin(report: Report) -> None:
    done = report.done
    assert len(done.origins) == 6
    assert set(done.everybody.table["model"]) == BASELINES | {done.model}
    assert set(done.held_out["model"]) == BASELINES | {done.model, PLAIN}
    assert set(done.totals["model"]) == BASELINES | {done.model, SEASONAL}
    assert {gain.rival for gain in done.gains} == BASELINES
    sizes = done.held_out.groupby(["origin", "model"]).size().unstack()
    assert (sizes.nunique(axis=1) == 1).all()


def test_the_truth_of_every_origin_is_over(report: Report) -> None:
    assert all((report.done.as_of - origin).days >= 60 for origin in report.done.origins)


def test_the_lost_are_left_out_of_who_remains(report: Report) -> None:
    done = report.done
    assert done.remaining is not None
    left = done.held_out[done.held_out["recency_days"] <= 180]
    assert done.remaining.customers == left["customer_id"].nunique()


def test_the_median_bias_is_that_of_the_biases_of_the_origins(report: Report) -> None:
    done = report.done
    own = done.held_out[done.held_out["model"] == done.model].groupby("origin")
    biases = (own["expected_value"].sum() / own["value"].sum() - 1).abs()
    assert done.median_bias()[done.model] == pytest.approx(biases.median())


def test_the_terminal_shows_all_that_is_compared_and_the_grade(report: Report) -> None:
    console = Console(width=140, force_terminal=False)
    with console.capture() as capture:
        console.print(shown(report.done))
    text = capture.get()
    for title in ("Who comes back", "Without the lost", "Gain over", "Calibration", "Intervals", "The total"):
        assert title in text
    assert f"grade {report.done.grade.letter} of trees + process: " in text
    assert "…" not in text


def test_the_page_asks_nothing_of_the_web(report: Report) -> None:
    text = report.page.read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "http" not in text
    assert text.count("<svg ") == 6
    for model in BASELINES:
        assert f'<td class="text">{model}</td>' in text


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_the_page(
    width: int, scheme: str, report: Report, assert_shown_well: Callable[..., None]
) -> None:
    assert_shown_well(report.page, width=width, scheme=scheme)


def test_the_document_has_the_numbers_of_the_page(report: Report) -> None:
    done = report.done
    document = json.loads(report.page.with_name("backtest.json").read_text())
    assert document["grade"] == done.grade.letter
    assert [origin[:10] for origin in document["origins"]] == [f"{each:%Y-%m-%d}" for each in done.origins]
    assert document["median_absolute_bias"][SEASONAL] == pytest.approx(done.median_bias()[SEASONAL])
    whole = next(row for row in document["calibration"] if row["origin"] is None)
    assert whole["model"] == done.model
    assert {"error", "by_chance", "level", "slope"} <= whole.keys()


def test_mlflow_keeps_the_run(report: Report, configuration: Configuration) -> None:
    workspace = configuration.project.workspace
    with Tracking(workspace, None, wait_seconds=60).reading() as client:
        experiment = client.get_experiment_by_name("corner shop")
        (run,) = client.search_runs([experiment.experiment_id])
        files = {file.path for file in client.list_artifacts(run.info.run_id, "texts")}
    assert run.data.tags["kind"] == "backtest"
    assert run.info.status == "FINISHED"
    assert run.data.params["grade"] == report.done.grade.letter
    assert files == {"texts/backtest.html", "texts/backtest.json"}
    assert {"auc", "gain_log_loss_BG/NBD"} <= run.data.metrics.keys()


def test_a_labelled_table_has_no_backtest(tmp_path: Path) -> None:
    text = configuration_text(horizon_days=60).replace("[sources", 'setting = "labelled"\n[sources', 1)
    (tmp_path / "tierwise.toml").write_text(text)
    with pytest.raises(InputError, match="'labelled' has no backtest"):
        backtest(Configuration.read(tmp_path / "tierwise.toml", environ={}))
