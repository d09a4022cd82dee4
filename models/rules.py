"""From the settings of tiers to rules with cut points, measured among everybody at one time."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from features.contract import Kind
from features.instants import Cutoff
from features.protected import refuse_protected
from features.silence import Rhythm
from features.tier_settings import TierSettings
from models.placement import Placement, class_kinds, columns_read
from models.subjects import TABLE, Source, make_subjects, sources
from models.tiers import TierPolicy

FORECASTS = (
    *("churn_risk", "churn_risk_percentile", "expected_orders", "expected_value", "value_low", "value_high"),
    *("clv", "historic_value"),
)
"""What is forecast, or known, of whoever has ordered."""


@dataclass(frozen=True)
class Rules:
    """What is known of the rules before anybody is measured.

    Parameters
    ----------
    settings
        Of tiers.
    setting
        Transactional, contractual or labelled.
    horizon_days
        Of the forecast.
    rhythm
        The silences that are unusual in the shop.
    """

    settings: TierSettings
    setting: str
    horizon_days: int
    rhythm: Rhythm

    def measured(
        self,
        connection: duckdb.DuckDBPyConnection,
        scores: pa.Table,
        *,
        features: Iterable[str],
        cutoff: Cutoff,
    ) -> Placement:
        """Make the table ``subjects``, and measure the cut points in it.

        Parameters
        ----------
        connection
            With the staged tables, and ``features`` and ``profile`` of everybody in the scores.
        scores
            One row per customer: forecasts, and the percentile of the churn risk.
        features
            The names of the features.

        Raises
        ------
        InputError
            The tiers are no policy for such customers.
        """
        known = sources(connection, features, scores)
        if self.setting == "transactional":  # of prospects alone nothing is forecast, and the tiers stay
            known |= {
                name: Source(Kind.NUMBER, "scores") for name in FORECASTS if name in scores.column_names
            }
        policy = TierPolicy.of(
            self.settings,
            setting=self.setting,
            label_means="churn" if "churn_risk" in known else "conversion",
            columns={name: source.kind for name, source in known.items()} | class_kinds(self.setting),
        )
        fairness = self.settings.fairness
        if not fairness.may_be_features:
            refuse_protected(policy.columns, fairness.attributes, where="a condition in [tiers]")
        columns = {name: known[name] for name in columns_read(policy, known)}
        make_subjects(connection, scores, columns, cutoff)
        placement = Placement(
            setting=self.setting,
            horizon_days=self.horizon_days,
            established_orders=self.settings.established_orders,
            minimum_stay_days=self.settings.minimum_stay_days,
            rhythm=self.rhythm,
            policy=policy,
            cuts={},
        )
        return placement.measured(connection, TABLE, self.settings)
