"""The backtest job: stage, judge at rolling origins, write the page, record."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.batch import workplace
from features.configuration import Configuration
from features.errors import InputError
from features.staging import stage
from training.backtest_page import figures, page
from training.holdout import Progress
from training.rolling import Backtest, judge
from training.train import lesson_of, registry_of
from training.versions import TrainingRun

PAGE, DOCUMENT = "backtest.html", "backtest.json"


@dataclass(frozen=True)
class Report:
    """A backtest and where its page lies; a document of the same numbers lies beside it."""

    done: Backtest
    page: Path


def backtest(
    configuration: Configuration, *, as_of: datetime | None = None, progress: Progress = lambda _: None
) -> Report:
    """Judge the model and every baseline at rolling origins before `as_of`, by default the end of the data.

    The page and the document go to the workspace, and with the plots to a run of their own in MLflow.

    Raises
    ------
    InputError
        A source or a setting is wrong, or the history is too short for any origin.
    """
    project = configuration.project
    if project.setting != "transactional":
        raise InputError(
            f"project.setting = {project.setting!r} has no backtest, which judges forecasts of orders; "
            "tierwise train judges such a model by itself"
        )
    with workplace(project.workspace) as connection:
        progress("reading the sources")
        stage(configuration, connection)
        lesson = lesson_of(configuration, connection, as_of)
        done = judge(lesson, currency=project.currency, progress=progress)
    texts = {PAGE: page(done), DOCUMENT: done.to_json()}
    for name, text in texts.items():
        (project.workspace / name).write_text(text, encoding="utf-8")
    registry_of(configuration).record(_run(done, project.name, texts))
    return Report(done, project.workspace / PAGE)


def _run(done: Backtest, project: str, texts: dict[str, str]) -> TrainingRun:
    own = done.everybody.table.query("model == @done.model").dropna(subset="estimate")
    gains = {
        f"gain_{gain.metric}_{gain.rival}".replace("+", "and"): gain.estimate
        for gain in done.gains
        if gain.estimate is not None
    }
    params: dict[str, Any] = {
        "horizon_days": done.horizon_days,
        "origins": [f"{origin:%Y-%m-%d}" for origin in done.origins],
        **done.grade.facts(),
    }
    return TrainingRun(
        name=f"{project} backtest {done.as_of:%Y-%m-%d}",
        kind="backtest",
        as_of=done.as_of,
        params=params,
        metrics=dict(zip(own["metric"], own["estimate"], strict=True)) | gains,
        figures=figures(done),
        texts=texts,
    )
