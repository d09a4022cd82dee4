"""Whether a treatment's effect differs between customers by more than noise: the check that comes first."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.likelihood import Vector

WORTH = 0.05
"""A difference at least as clear comes by chance in so many of the cases without any."""


@dataclass(frozen=True)
class Differs:
    """How well predicted differences of an effect were borne out by outcomes that had not been seen.

    Parameters
    ----------
    p_value
        One-sided: how often noise alone agrees with the predictions as well as the outcomes did.
    slope
        Of the best linear predictor of the effect on the predicted one: 1 where the differences came as
        predicted, 0 where they tell nothing, NaN where all predictions are alike.
    slope_se
        Its standard error.
    """

    p_value: float
    slope: float
    slope_se: float

    @property
    def is_worth_acting_on(self) -> bool:
        """Whether to treat customers differently; else the average effect says all there is to say."""
        return self.p_value < WORTH

    @classmethod
    def test(cls, score: Vector, predicted: Vector, block: NDArray[np.int64], weight: Vector) -> Self:
        """Regress scores on predictions block by block (Chernozhukov et al. 2018, best linear predictor).

        Each block is predicted from the outcomes of earlier blocks alone: then the t statistics of the blocks
        are a martingale, and their sum over the root of their number is standard normal where nothing differs
        (Wager 2024, sequential validation). Predicting each block from all others would call noise
        a difference more often than it says: what two blocks say of each other would count twice.

        Parameters
        ----------
        score
            Doubly robust scores of the effect, of shape (n,).
        predicted
            The effect of each row, made without its block and later ones, of shape (n,).
        block
            The number of each row's block, of shape (n,).
        weight
            How much each row counts, at least 0, of shape (n,).
        """
        lines = [_line(score[mine], predicted[mine], weight[mine]) for mine in _rows(block)]
        known = np.array([line for line in lines if line is not None])
        if not known.size:
            return cls(1.0, np.nan, np.nan)
        slope, error = known.T
        together = (slope / error).sum() / np.sqrt(len(known))
        trust = 1.0 / error**2
        return cls(
            float(norm.sf(together)),
            float(trust @ slope / trust.sum()),
            float(1.0 / np.sqrt(trust.sum())),
        )


def _rows(block: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    return [block == number for number in np.unique(block)]


def _line(score: Vector, predicted: Vector, weight: Vector) -> tuple[float, float] | None:
    """Return the slope of scores on predictions and its robust error (White 1980); null without a spread."""
    total = weight.sum()
    if total <= 0:
        return None
    apart = predicted - weight @ predicted / total
    spread = weight @ apart**2
    if spread <= np.finfo(float).eps * (weight @ predicted**2) or spread == 0:
        return None
    slope = float((weight * apart) @ score / spread)
    left = score - weight @ score / total - slope * apart
    error = float(np.sqrt(((weight * apart * left) ** 2).sum()) / spread)
    return (slope, error) if error > 0 else None
