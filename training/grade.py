"""The grade of a model: what it gains over the best of what one would use instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from training.evaluation import Gain
from training.gains import GAINED, mean_gains

TITLES = {"log_loss": "log loss", "gini": "Gini"}


@dataclass(frozen=True)
class Grade:
    """How much better a model is than the best baseline.

    Attributes
    ----------
    letter
        A: better beyond chance for churn (log loss) and for value (Gini), where there is any value. B: better
        beyond chance in one of them and worse beyond chance in neither. C: not to be told from the best
        baseline. D: worse beyond chance in one, or never judged.
    reason
        Why, in one sentence.
    gains
        The mean gain over the best baseline in each, with its paired 95% interval; none if never judged.
    """

    letter: Literal["A", "B", "C", "D"]
    reason: str
    gains: tuple[Gain, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what a bundle says of it."""
        return {"grade": self.letter, "grade_reason": self.reason}


def grade_of(frame: pd.DataFrame, model: str, baselines: Sequence[str]) -> Grade:
    """Grade a model by its forecasts at held-out origins beside those of baselines.

    Parameters
    ----------
    frame
        That of `training.evaluation.evaluate`; empty if nothing could be held out.
    baselines
        Names in its ``model``; the model itself is none.
    """
    if frame.empty or not [name for name in baselines if name != model]:
        return Grade("D", "it was never judged on held-out customers")
    return graded(mean_gains(frame, model, baselines))


def graded(gains: Sequence[Gain]) -> Grade:
    """Grade by the gains over all baselines; the best one is the one over which the gain is smallest."""
    nearest = [
        min(known, key=lambda gain: float(gain.estimate or 0.0))
        for metric in GAINED
        if (known := [gain for gain in gains if gain.metric == metric and gain.estimate is not None])
    ]
    worse, better = ([gain for gain in nearest if getattr(gain, how)] for how in ("worse", "better"))
    if worse:
        return Grade(
            "D", f"it is worse beyond chance than the best baseline in {_tell(worse)}", tuple(nearest)
        )
    if better and len(better) == len(nearest):
        return Grade("A", f"it is better beyond chance than any baseline: {_tell(nearest)}", tuple(nearest))
    if better:
        reason = f"it is better beyond chance than any baseline in only one of the two: {_tell(nearest)}"
        return Grade("B", reason, tuple(nearest))
    told = f": {_tell(nearest)}" if nearest else ""
    return Grade("C", f"it is no better beyond chance than the best baseline{told}", tuple(nearest))


def _tell(gains: Sequence[Gain]) -> str:
    return ", ".join(
        f"{TITLES[gain.metric]} {gain.estimate:+.4f} over {gain.rival}"
        + ("" if gain.low is None else f" (95% interval {gain.low:+.4f} to {gain.high:+.4f})")
        for gain in gains
    )
