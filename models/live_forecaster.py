"""The forecast of one customer from the rows of a request, by the features that a bundle was trained with."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from features.contracts import RUNS
from features.instants import Cutoff
from features.live import LiveEngine, Rows
from models.bundle import Bundle
from models.reasons import ReasonWriter
from models.standing import known_share

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
        self._engine = LiveEngine(bundle.steps("sqlite"), attributes=plan.attribute_names)
        self._estimator = bundle.estimator()
        self._writer = ReasonWriter(self._estimator, plan.attributes)
        self._presence = plan.presence
        self._past = OF_CONTRACTS if plan.reads_contracts else KNOWN
        self._missing: dict[str, float] | None = bundle.training.get("missing")  # labelled

    def forecast(
        self, rows: Mapping[str, Rows], *, customer_id: str, cutoff: Cutoff, reasons: bool = False
    ) -> dict[str, Any] | None:
        """Forecast from canonical rows; null without a known order, or contract, before the cutoff.

        Parameters
        ----------
        reasons
            Whether to tell ``reasons`` as well, as of `models.reasons`: they take longer than the forecast.
            In the contractual setting there are none.

        Returns
        -------
        The outputs of the estimator by name, null where NaN; ``historic_value``, the net spend before the
        cutoff; ``orders`` and ``tenure_days``, the order days known and the days since the first; ``skill``,
        how well customers with so many orders were forecast. In the
        contractual setting instead of these ``runs`` (1 or 0) and ``age_days`` of the contract; in the
        labelled setting only the outputs, and ``known_share``: how much of what is usually known is known.
        """
        values = self._engine.features(rows, customer_id, cutoff)
        columns = dict(zip(self._names, np.array(values, dtype=float)[:, None], strict=True))
        if self._missing is None and np.isnan(columns[self._presence][0]):
            return None
        outputs = self._estimator.forecast(columns)
        forecast: dict[str, Any] = {name: _known(output[0]) for name, output in outputs.items()}
        if reasons and (self._past is KNOWN or columns[RUNS][0] == 1):
            forecast["reasons"] = self._writer.write(columns)[0]
        if self._missing is not None:
            return forecast | {"known_share": float(known_share(columns, self._missing)[0])}
        if self._past is KNOWN:
            forecast["skill"] = _known(self._estimator.skill_.at(columns["orders_all"])[0])
        return forecast | {name: _known(columns[feature][0]) for name, feature in self._past.items()}


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
