"""What a model gains over its rivals: the mean over origins, with paired intervals by customer."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.likelihood import Vector
from training import metrics
from training.evaluation import Gain
from training.metrics import Ranks
from training.panel import PLACES, Panel

RESAMPLES = 500
GAINED = ("log_loss", "gini")


class _Origin(NamedTuple):
    """The rows of one origin: their places in the panel, and what no weighting changes."""

    rows: NDArray[np.intp]
    value: Vector
    perfect: Ranks
    losses: Mapping[str, Vector]
    ranks: Mapping[str, Ranks]

    def measures(self, weights: Vector) -> dict[str, list[float]]:
        """Return by metric what each model has, NaN where it cannot be measured."""
        mine = weights[self.rows]
        if not mine.any():
            return {metric: [np.nan] * len(self.losses) for metric in GAINED}
        perfect = metrics.gain_curve(self.value, self.perfect, mine)
        ginis = [
            metrics.gini_of(metrics.gain_curve(self.value, ranks, mine), perfect)
            for ranks in self.ranks.values()
        ]
        return {
            "log_loss": [metrics.dot(mine, loss) / float(mine.sum()) for loss in self.losses.values()],
            "gini": [np.nan if gini is None else gini for gini in ginis],
        }


def mean_gains(
    frame: pd.DataFrame,
    model: str,
    rivals: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Gain]:
    """Compare a model with rivals by the mean gain over origins, every origin counting the same.

    Customers are drawn, each with all its origins and for all models at once (Efron and Tibshirani 1993,
    ch. 8). The gain in log loss is the rival's less the model's; in Gini the model's less the rival's.

    Parameters
    ----------
    frame
        That of `training.evaluation.evaluate`.

    Returns
    -------
    Per rival a gain in ``log_loss`` and one in ``gini``.
    """
    names = [model, *(rival for rival in rivals if rival != model)]
    panel = Panel.of(frame[frame["model"].isin(names)])
    origins = [_origin(panel, number) for number in range(int(panel.origins.max()) + 1)]
    order = [list(panel.sheets).index(name) for name in names]
    whole = _gained(origins, np.ones(panel.value.size), order)
    drawn = [_gained(origins, weights, order) for weights in panel.resamples(resamples, seed=seed)]
    gains = []
    for place, rival in enumerate(names[1:]):
        for metric in GAINED:
            estimate = float(whole[metric][place])
            if np.isnan(estimate):
                gains.append(Gain(metric, model, rival, None, None, None))
                continue
            low, high = panel.interval(np.array([one[metric][place] for one in drawn]), estimate)
            known = not np.isnan(low)
            gains.append(
                Gain(metric, model, rival, estimate, low if known else None, high if known else None)
            )
    return gains


def _origin(panel: Panel, number: int) -> _Origin:
    rows = np.flatnonzero(panel.origins == number)
    value = panel.value[rows]
    return _Origin(
        rows=rows,
        value=value,
        perfect=Ranks.of(value).thinned(PLACES),
        losses={name: sheet.log_losses[rows] for name, sheet in panel.sheets.items()},
        ranks={name: Ranks.of(sheet.value[rows]).thinned(PLACES) for name, sheet in panel.sheets.items()},
    )


def _gained(origins: Sequence[_Origin], weights: Vector, order: list[int]) -> dict[str, Vector]:
    """Return by metric the mean gain over each rival, over the origins at which it can be measured."""
    measured = [origin.measures(weights) for origin in origins]
    gained = {}
    for metric, sign in zip(GAINED, (-1.0, 1.0), strict=True):
        table = np.array([one[metric] for one in measured])[:, order]
        gains = sign * (table[:, :1] - table[:, 1:])
        known = ~np.isnan(gains)
        totals, counts = np.where(known, gains, 0.0).sum(axis=0), known.sum(axis=0)
        gained[metric] = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return gained
