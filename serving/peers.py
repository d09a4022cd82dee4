"""What a customer is compared with: how risk is spread among everybody, and the rules that placed them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.likelihood import Vector
from models.placement import Placement
from serving.placer import Placer


@dataclass(frozen=True)
class Peers:
    """Everybody of a run, or of a training, as far as a live request looks them up.

    Parameters
    ----------
    grid
        Evenly spaced quantiles of churn risk; empty where no risk is forecast.
    placer
        The rules of standing; null of a run before there were any.
    cut
        The cut point of the potential; null for that of the training.
    """

    grid: Vector
    placer: Placer | None = None
    cut: float | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Restore from the facts of a run or of a training."""
        placement = facts.get("placement")
        placer = None if placement is None else Placer(Placement.from_json(placement))
        return cls(np.asarray(facts["churn_risk_grid"]), placer, facts.get("cut_point"))
