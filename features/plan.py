"""Which features a model sees, and the SQL that makes them, once for every engine."""

from dataclasses import asdict, dataclass, field
from typing import Any

import ibis
import ibis.expr.types as ir

from features import basket, rhythm, season, trend, volume
from features.days import SUBJECT, known, order_days, unbound_spine
from features.lines import (
    led_back,
    purchases_and_refunds,
    refund_candidates,
    refund_matches,
    unbound_orders,
)

ENGINES = ("duckdb", "sqlite", "databricks")


@dataclass(frozen=True)
class FeaturePlan:
    """What a feature row is made of; the same plan gives the same SQL.

    Parameters
    ----------
    horizon_days
        The horizon of the forecast: the season features look at a window of that length.
    order_columns
        The optional columns of ``orders`` that the company has; features of others are left out.
    mixes
        Per column of ``orders`` the values whose shares are features.
    exclude
        Per column of ``orders`` the values of lines that are no purchases.
    cancellation_prefix
        What stands before an order's number in the number of its cancellation.
    """

    horizon_days: int
    order_columns: tuple[str, ...] = ()
    mixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cancellation_prefix: str = "C"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "FeaturePlan":
        """Restore a plan from plain data."""
        lists = {
            name: {column: tuple(values) for column, values in plain[name].items()}
            for name in ("mixes", "exclude")
        }
        return cls(**plain | lists | {"order_columns": tuple(plain["order_columns"])})

    def expressions(self) -> dict[str, ir.Table]:
        """Return the steps in order, each over the canonical tables, the spine, earlier steps."""
        candidates, matches = self._refunds()
        features = self._features(self.order_lines())
        return {"candidates": candidates, "matches": matches, "features": features}

    def order_lines(self) -> ir.Table:
        """Return the order lines over ``orders`` and ``matches``, each led back to its order."""
        _, matches = self._refunds()
        return led_back(self._lines(), ibis.table(matches.schema(), name="matches"))

    def _lines(self) -> ir.Table:
        return purchases_and_refunds(unbound_orders(), exclude=self.exclude)

    def _refunds(self) -> tuple[ir.Table, ir.Table]:
        candidates = refund_candidates(self._lines(), cancellation_prefix=self.cancellation_prefix)
        return candidates, refund_matches(ibis.table(candidates.schema(), name="candidates"))

    def sql(self) -> dict[str, dict[str, str]]:
        """Compile to text: per engine of `ENGINES` the steps in order, ``features`` last."""
        expressions = self.expressions()
        return {
            engine: {name: str(ibis.to_sql(table, dialect=engine)) for name, table in expressions.items()}
            for engine in ENGINES
        }

    def names(self) -> list[str]:
        """Return the feature columns in order."""
        return list(self.expressions()["features"].columns[2:])

    def _features(self, lines: ir.Table) -> ir.Table:
        spine = unbound_spine()
        seen = known(lines, spine, clock="ordered_at")
        summaries = [self._order_summary(order_days(seen)), basket.line_summary(seen, self.mixes)]
        if "product_id" in self.order_columns:
            summaries.append(basket.product_summary(seen))
        joined = spine
        for summary in summaries:
            joined = joined.left_join(summary, SUBJECT, rname="right_{name}").drop(f"right_{SUBJECT}")
        themes = [
            volume.features(joined),
            rhythm.features(joined),
            trend.features(joined),
            season.features(joined),
            basket.features(joined),
            basket.mix_features(joined, self.mixes),
        ]
        if "discount" in self.order_columns:
            themes.append(basket.discount_features(joined))
        if "product_id" in self.order_columns:
            themes.append(basket.product_features(joined))
        values = {name: value.cast("float64") for theme in themes for name, value in theme.items()}
        return joined.select("customer_id", "as_of", **values)

    def _order_summary(self, days: ir.Table) -> ir.Table:
        return days.group_by(SUBJECT).aggregate(
            **volume.measures(days),
            **rhythm.measures(days),
            **trend.measures(days),
            **season.measures(days, horizon_days=self.horizon_days),
            **basket.measures(days),
        )
