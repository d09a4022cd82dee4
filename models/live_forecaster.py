"""The forecast of one customer from the rows of a request, by the features that a bundle was trained with."""

from collections.abc import Mapping
from math import isnan
from typing import Any

import numpy as np

from features.contracts import RUNS
from features.instants import Cutoff
from features.live import Held, LiveEngine, Rows
from models.bundle import Bundle
from models.likelihood import Vector
from models.reasons import ReasonWriter
from models.standing import known_share
from models.subjects import PROFILE

KNOWN = {"historic_value": "spend_all", "orders": "orders_all", "tenure_days": "tenure_days"}
"""What a forecast says of the past, by the feature that tells it ..."""
OF_CONTRACTS = {"historic_value": "fees_all", "runs": RUNS, "age_days": "contract_age_days"}
"""... and in the contractual setting."""


class LiveForecaster:
    """A bundle made ready for one customer at a time; one instance serves one thread.

    Parameters
    ----------
    bundle
        The model.

    Attributes
    ----------
    attributes
        What the model wants to know of a customer as such; they end the rows of ``customers``.
    """

    def __init__(self, bundle: Bundle) -> None:
        plan = bundle.plan()
        self.attributes = plan.attributes
        self._names = bundle.feature_names
        self._engine = LiveEngine(
            bundle.steps("sqlite"), attributes=plan.attribute_names, profile=bundle.profile("sqlite")
        )
        self._has_category = "category" in plan.order_columns
        self._estimator = bundle.estimator()
        self._potential = bundle.potential()
        self._writer = ReasonWriter(self._estimator, plan.attributes)
        self._presence = plan.presence
        self._past = OF_CONTRACTS if plan.reads_contracts else KNOWN
        self._missing: dict[str, float] | None = bundle.training.get("missing")  # labelled

    def forecast(
        self, rows: Mapping[str, Rows], *, customer_id: str, cutoff: Cutoff, reasons: bool = False
    ) -> dict[str, Any] | None:
        """Forecast from canonical rows: `features`, then `forecast_of`."""
        columns = self.features(rows, customer_id=customer_id, cutoff=cutoff)
        return self.forecast_of(columns, reasons=reasons)

    def features(self, rows: Mapping[str, Rows], *, customer_id: str, cutoff: Cutoff) -> dict[str, Vector]:
        """Return the features of a customer by name, each of shape (1,), NaN where not known."""
        with self._engine.holding(rows, customer_id, cutoff) as held:
            return self._features(held)

    def described(
        self, rows: Mapping[str, Rows], *, customer_id: str, cutoff: Cutoff, lost_days: int
    ) -> tuple[dict[str, Vector], dict[str, Any]]:
        """Return the features of a customer, and the profile: ``main_category`` and ``return_days``.

        Parameters
        ----------
        lost_days
            The silence that few in the shop ever end.
        """
        with self._engine.holding(rows, customer_id, cutoff) as held:
            columns = self._features(held)
            return columns, self._profile(held, columns, lost_days)

    def _features(self, held: Held) -> dict[str, Vector]:
        return dict(zip(self._names, np.array(held.features(), dtype=float)[:, None], strict=True))

    def _profile(self, held: Held, columns: Mapping[str, Vector], lost_days: int) -> dict[str, Any]:
        """Who never kept silent for long has not returned; then, without categories, nothing is asked."""
        longest = columns["gap_max_days"][0] if "gap_max_days" in columns else 0.0
        if not self._has_category and not longest > lost_days:
            return dict.fromkeys(PROFILE)
        return dict(zip(PROFILE, held.profile(lost_days=lost_days), strict=True))

    def forecast_of(
        self, columns: dict[str, Vector], *, reasons: bool = False, cut: float | None = None
    ) -> dict[str, Any] | None:
        """Forecast from the features of a customer; null without a known order, or contract.

        Of a prospect the ``potential_score`` alone, where there is one.

        Parameters
        ----------
        reasons
            Whether to tell ``reasons`` as well, as of `models.reasons`: they take longer than the forecast.
            In the contractual setting there are none.
        cut
            The cut point of the potential; without one that of the training.

        Returns
        -------
        The outputs of the estimator and the ``potential_score`` by name, null where NaN; ``historic_value``,
        the net spend before the cutoff; ``orders`` and ``tenure_days``, the order days known and the days
        since the first; ``skill``, how well customers with so many orders were forecast. In the contractual
        setting instead of these ``runs`` (1 or 0) and ``age_days`` of the contract; in the labelled setting
        only the outputs, and ``known_share``: how much of what is usually known is known.
        """
        if self._missing is None and np.isnan(columns[self._presence][0]):
            return self._of_prospect(columns)
        outputs = self._estimator.forecast(columns)
        forecast: dict[str, Any] = {name: _known(output[0]) for name, output in outputs.items()}
        if self._potential is not None:
            forecast["potential_score"] = float(self._potential.score(columns, outputs, cut=cut)[0])
        if reasons and (self._past is KNOWN or columns[RUNS][0] == 1):
            forecast["reasons"] = self._writer.write(columns)[0]
        if self._missing is not None:
            return forecast | {"known_share": float(known_share(columns, self._missing)[0])}
        if self._past is KNOWN:
            forecast["skill"] = _known(self._estimator.skill_.at(columns["orders_all"])[0])
        return forecast | {name: _known(columns[feature][0]) for name, feature in self._past.items()}

    def _of_prospect(self, columns: Mapping[str, Vector]) -> dict[str, Any] | None:
        if self._potential is None:
            return None
        score = _known(self._potential.score(columns, {})[0])
        return None if score is None else {"potential_score": score}


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)
