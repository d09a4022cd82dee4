"""Which model serves: the champion stays until another is better beyond chance."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Self

import duckdb
import numpy as np
import pandas as pd

from features.configuration import Configuration
from features.coverage import lacking
from models.agreement import disagreement
from models.bundle import Bundle
from training.evaluation import Gain, paired_gain
from training.panel import Panel

SO_FAR = "the champion"
"""The name of the champion so far among the models that are judged."""
TITLES = {"log_loss": "log loss", "tweedie_deviance": "Tweedie deviance", "gini": "Gini"}


@dataclass(frozen=True)
class Verdict:
    """What a model is to be.

    Attributes
    ----------
    name
        The model that the verdict is about: the candidate, or the first champion.
    alias
        What it becomes.
    reason
        Why, in one sentence.
    gains
        Its paired gains over the champion, or over the next best when it is the first.
    """

    name: str
    alias: Literal["champion", "challenger"]
    reason: str
    gains: tuple[Gain, ...]

    @classmethod
    def unjudged(cls, name: str, reason: str, *, has_rival: bool) -> Self:
        """Take a model where nothing can be held out: it is champion only where no other is."""
        return cls(name, "challenger" if has_rival else "champion", reason, ())

    def after(self, why_unfit: str | None) -> Self:
        """Tell first why the champion so far was no rival, as of `unfit`, if it was none."""
        if why_unfit is None:
            return self
        return replace(self, reason=f"the champion so far {why_unfit}; {self.reason}")


def unfit(
    champion: Bundle | None,
    configuration: Configuration,
    connection: duckdb.DuckDBPyConnection,
    *,
    outcome: str | None = None,
) -> str | None:
    """Tell why the champion so far says nothing of staged data, and so is no rival; null where it may be one.

    Parameters
    ----------
    outcome
        What the labels of the data tell, in the labelled setting.
    """
    if champion is None:
        return None
    told = disagreement(champion, configuration)
    if told:
        return told
    if champion.training.get("outcome") != outcome:
        return f"was trained for another outcome, {champion.training['outcome']}"
    lacks = lacking(connection, champion.plan())
    return f"needs {lacks}" if lacks else None


def judge(
    held_out: pd.DataFrame, candidate: str, *, has_rival: bool, as_of: datetime, horizon_days: int
) -> Verdict:
    """Decide which of the models that were held out serves, the candidate where none could be.

    Parameters
    ----------
    held_out
        As in `decide`, with `SO_FAR` if the champion so far is a rival; empty where the history is too short.
    """
    if held_out.empty:
        reason = (
            f"the history before {as_of:%Y-%m-%d} is too short to hold out a horizon of {horizon_days} days; "
            f"{candidate} is taken unjudged"
        )
        return Verdict.unjudged(candidate, reason, has_rival=has_rival)
    first = decide(held_out[held_out["model"] != SO_FAR], candidate, None)
    return decide(held_out, first.name, SO_FAR) if has_rival else first


def decide(frame: pd.DataFrame, candidate: str, champion: str | None, *, seed: int = 0) -> Verdict:
    """Decide between the candidate and the champion on the same held-out rows.

    Without a champion, the model of the lowest log loss becomes it, be it a baseline. Later, the candidate
    replaces the champion only if it is better beyond chance for churn (the paired 95% interval of its gain
    in log loss lies above zero) or for value (the same in Tweedie deviance, and the Gini not worse beyond
    chance), and worse beyond chance in neither.

    Parameters
    ----------
    frame
        That of `training.evaluation.evaluate`, with the candidate, the champion if there is one, and the
        baselines.
    candidate, champion
        Names in the frame's ``model``; the champion is None at first.

    Raises
    ------
    ValueError
        If the models do not stand on the same origins and customers.
    """
    if champion is None:
        return _first(frame, candidate, seed=seed)
    if _identical(frame, candidate, champion):
        reason = f"{candidate} forecasts the same as {champion} for everybody, so the champion stays."
        return Verdict(candidate, "challenger", reason, ())
    gains = _gains(frame, candidate, champion, seed=seed)
    churn, deviance, gini = gains
    better = [churn] * churn.better + [deviance] * (deviance.better and not gini.worse)
    worse = [gain for gain in gains if gain.worse]
    if better and not worse:
        reason = f"{candidate} replaces {champion}: it is better beyond chance in {_tell(better)}."
        return Verdict(candidate, "champion", reason, gains)
    return Verdict(candidate, "challenger", _why_not(candidate, champion, better, worse), gains)


def _first(frame: pd.DataFrame, candidate: str, *, seed: int) -> Verdict:
    """Make the model of the lowest log loss champion; the candidate if it is among equals."""
    sheets = Panel.of(frame).sheets
    losses = {model: float(sheet.log_losses.mean()) for model, sheet in sheets.items()}
    order = sorted(losses, key=lambda model: (losses[model], model != candidate, model))
    best, after = order[0], order[1:2]
    what = f"{best} has the lowest log loss on the held-out rows ({losses[best]:.4f}"
    rivals = f" against {losses[after[0]]:.4f} of {after[0]}" if after else ""
    baseline = (
        "" if best == candidate else f", although it is a baseline; {candidate} has {losses[candidate]:.4f}"
    )
    gains = _gains(frame, best, after[0], seed=seed) if after else ()
    reason = f"There was no champion yet, and {what}{rivals}){baseline}."
    return Verdict(best, "champion", reason, gains)


def _gains(frame: pd.DataFrame, model: str, rival: str, *, seed: int) -> tuple[Gain, Gain, Gain]:
    return (
        paired_gain(frame, model, rival, "log_loss", seed=seed),
        paired_gain(frame, model, rival, "tweedie_deviance", seed=seed),
        paired_gain(frame, model, rival, "gini", seed=seed),
    )


def _why_not(candidate: str, champion: str, better: list[Gain], worse: list[Gain]) -> str:
    """Say what keeps the candidate a challenger."""
    stays = f"{candidate} does not replace {champion}: it is"
    if better:
        return f"{stays} better beyond chance in {_tell(better)}, but worse in {_tell(worse)}."
    if worse:
        return f"{stays} worse beyond chance in {_tell(worse)}."
    return f"{stays} better beyond chance neither in log loss nor in Tweedie deviance."


def _identical(frame: pd.DataFrame, model: str, rival: str) -> bool:
    """Whether two models forecast the same churn_risk and expected_value for every row."""
    panel = Panel.of(frame[frame["model"].isin([model, rival])])
    ours, theirs = panel.sheets[model], panel.sheets[rival]
    return np.array_equal(ours.risk, theirs.risk) and np.array_equal(ours.value, theirs.value)


def _tell(gains: list[Gain]) -> str:
    """Name gains with their intervals: "log loss (+0.0124, 95% interval +0.0101 to +0.0147)"."""
    return ", ".join(
        f"{TITLES[gain.metric]} ({gain.estimate:+.4g}, 95% interval {gain.low:+.4g} to {gain.high:+.4g})"
        for gain in gains
    )
