"""Which features a model sees, and the SQL that makes them, once for every engine."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import ibis
import ibis.expr.types as ir

from features import attributes, basket, contacts, contracts, feedback, rhythm, season, trend, volume
from features.attributes import Attribute
from features.contracts import MONTH_DAYS
from features.days import SUBJECT, known, order_days, unbound_spine
from features.errors import InputError
from features.lines import (
    led_back,
    purchases_and_refunds,
    refund_candidates,
    refund_matches,
    unbound_orders,
)
from features.own import ENGINES, OwnFeature, unbound_own, with_own
from features.own_tables import DAYS, LINES, shown
from features.profile import profile

SUMMED = (
    SUBJECT,
    "as_of_day",
    "day",
    "order_day",
    "amount",
    "quantity",
    "discount",
    "is_return",
    "is_purchase",
    "cancels",
)
"""The columns of order lines that every plan sums ..."""
KNOWN_BY = ("customer_id", "ordered_at", "ingested_at")
"""... and those that tell whether a line was known: SQLite carries whatever else it is given along."""


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
    interaction_kinds
        The kinds of ``interactions`` that are counted.
    feedback_kinds, feedback_topics
        The kinds and topics of ``feedback`` that are counted.
    attributes
        The columns of ``customers`` that are features.
    knows_joining
        Whether ``customers`` tells when each joined.
    reads_orders
        Whether there are orders.
    value
        Of an order: net ``revenue``, or ``margin``, which is less its costs.
    reads_contracts
        Whether there are contracts; without them and without orders the attributes are all there is.
    contract_plans
        The plans of ``contracts`` that are told apart.
    fee_days
        The days that a contract's fee is for.
    own
        Features that a user wrote, beside those of the themes.
    """

    horizon_days: int
    order_columns: tuple[str, ...] = ()
    mixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cancellation_prefix: str = "C"
    interaction_kinds: tuple[str, ...] = ()
    feedback_kinds: tuple[str, ...] = ()
    feedback_topics: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    knows_joining: bool = False
    reads_orders: bool = True
    value: str = "revenue"
    reads_contracts: bool = False
    contract_plans: tuple[str, ...] = ()
    fee_days: float = MONTH_DAYS
    own: tuple[OwnFeature, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "FeaturePlan":
        """Restore a plan from plain data."""
        maps = {
            name: {column: tuple(values) for column, values in plain[name].items()}
            for name in ("mixes", "exclude")
        }
        lists = {name: tuple(values) for name, values in plain.items() if isinstance(values, list | tuple)}
        known = tuple(Attribute.from_json(each) for each in plain.get("attributes", ()))
        own = tuple(OwnFeature(**each) for each in plain.get("own", ()))
        return cls(**plain | lists | maps | {"attributes": known, "own": own})

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The columns of ``customers`` beyond those of the contract that the steps read, in order."""
        return tuple(each.name for each in self.attributes)

    @property
    def is_margin(self) -> bool:
        """Whether value is less costs."""
        return self.value == "margin"

    @cached_property
    def _expressions(self) -> dict[str, ir.Table]:
        """The steps in order, each over the canonical tables, the spine, earlier steps."""
        if not self.reads_orders:
            rows = self._features(None) if self.reads_contracts else self._described_customers()
            return {"features": rows}
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
        """Compile to text, once a process: per engine of `ENGINES` the steps in order, ``features`` last."""
        return _compiled(json.dumps(self.to_json()))

    def steps(self, engine: str) -> dict[str, str]:
        """Compile the steps for an engine."""
        texts = {name: str(ibis.to_sql(table, dialect=engine)) for name, table in self._expressions.items()}
        if self.own:
            tables = {name: str(ibis.to_sql(table, dialect=engine)) for name, table in self._shown().items()}
            texts["features"] = with_own(texts["features"], self.own, tables, engine)
        return texts

    def matching(self) -> dict[str, str]:
        """Compile the steps before the features for DuckDB: they match refunds to their orders."""
        tables = zip(("candidates", "matches"), self._refunds(), strict=True)
        return {name: str(ibis.to_sql(table, dialect="duckdb")) for name, table in tables}

    def profile(self, engine: str) -> str:
        """Compile what `features.profile.profile` tells beside the features, for an engine.

        The text reads the tables that the steps read and made, and ``shop``: one row with ``lost_days``.
        """
        return _compiled_profile(json.dumps(self.to_json()), engine)

    def _shown(self) -> dict[str, ir.Table]:
        """Return the tables that own features may read, of what was known at `as_of`."""
        seen = known(self.order_lines(), unbound_spine(), clock="ordered_at")
        return {"days": shown(order_days(seen), DAYS), "lines": shown(seen, LINES)}

    @property
    def presence(self) -> str:
        """The feature that is null for a customer of whom there is nothing to forecast from."""
        return contracts.RUNS if self.reads_contracts else "orders_all"

    def names(self) -> list[str]:
        """Return the feature columns in order."""
        return list(self._expressions["features"].columns[2:])

    def _described_customers(self) -> ir.Table:
        spine = unbound_spine()
        customers = attributes.unbound_customers(self.attributes)
        joined = spine.left_join(attributes.summary(customers, spine, self.attributes), SUBJECT)
        values = attributes.features(joined, self.attributes, knows_joining=self.knows_joining)
        return joined.select("customer_id", "as_of", **values)

    def _features(self, lines: ir.Table | None) -> ir.Table:
        joined = spine = unbound_spine()
        for number, summary in enumerate(self._summaries(lines, spine)):
            joined = joined.left_join(summary, SUBJECT, rname=f"{{name}}_{number}")
        values: dict[str, ir.Value] = {}
        for theme in self._themes(joined):
            twice = theme.keys() & values.keys()
            if twice:
                raise InputError(
                    f"two features are named {min(twice)!r}; rename a value or column of a source, or an "
                    "own feature"
                )
            values |= theme
        return joined.select(
            "customer_id", "as_of", **{name: value.cast("float64") for name, value in values.items()}
        )

    def _summaries(self, lines: ir.Table | None, spine: ir.Table) -> Iterator[ir.Table]:
        """Yield one aggregate per table; by product needs its own."""
        if lines is not None:
            costs = ["cost"] if self.is_margin else []
            wanted = (*SUMMED, *costs, *self._described)
            kept = lines.select(*KNOWN_BY, *(name for name in wanted if name in lines.columns))
            seen = known(kept, spine, clock="ordered_at").select(*wanted)
            yield self._order_summary(order_days(seen, less_costs=self.is_margin))
            yield basket.line_summary(seen, self.mixes)
            if "product_id" in self.order_columns:
                yield basket.product_summary(seen)
        if self.reads_contracts:
            bound = known(contracts.unbound_contracts(), spine, clock="started_at")
            yield contracts.summary(bound, self.contract_plans)
        if self.interaction_kinds:
            events = known(contacts.unbound_interactions(), spine, clock="occurred_at")
            yield contacts.summary(events, self.interaction_kinds)
        if self._has_feedback:
            events = known(feedback.unbound_feedback(), spine, clock="occurred_at")
            yield feedback.summary(events, kinds=self.feedback_kinds, topics=self.feedback_topics)
        if self._has_customers:
            customers = attributes.unbound_customers(self.attributes)
            yield attributes.summary(customers, spine, self.attributes)
        yield from map(unbound_own, self.own)

    def _themes(self, t: ir.Table) -> Iterator[dict[str, ir.Value]]:
        yield from self._order_themes(t) if self.reads_orders else [season.calendar(t)]
        if self.reads_contracts:
            yield contracts.features(t, self.contract_plans, fee_days=self.fee_days)
        if self.interaction_kinds:
            yield contacts.features(t, self.interaction_kinds)
        if self._has_feedback:
            yield feedback.features(t, kinds=self.feedback_kinds, topics=self.feedback_topics)
        if self._has_customers:
            yield attributes.features(t, self.attributes, knows_joining=self.knows_joining)
        for each in self.own:
            yield {each.name: t[f"_own_{each.name}"]}

    def _order_themes(self, t: ir.Table) -> Iterator[dict[str, ir.Value]]:
        yield volume.features(t)
        yield rhythm.features(t)
        yield trend.features(t)
        yield season.features(t)
        yield basket.features(t)
        yield basket.mix_features(t, self.mixes)
        if "quantity" in self.order_columns:
            yield basket.unit_features(t)
        if "discount" in self.order_columns:
            yield basket.discount_features(t)
        if "product_id" in self.order_columns:
            yield basket.product_features(t)

    @property
    def _described(self) -> list[str]:
        """The further columns of ``orders`` that are summed; engines keep the fewer the better."""
        products = ["product_id"] if "product_id" in self.order_columns else []
        return products + [column for column in self.mixes if column not in products]

    @property
    def _has_feedback(self) -> bool:
        return bool(self.feedback_kinds or self.feedback_topics)

    @property
    def _has_customers(self) -> bool:
        return bool(self.attributes) or self.knows_joining

    def _order_summary(self, days: ir.Table) -> ir.Table:
        return days.group_by(SUBJECT).aggregate(
            **volume.measures(days),
            **rhythm.measures(days),
            **trend.measures(days),
            **season.measures(days, horizon_days=self.horizon_days),
            **basket.measures(days),
        )


@lru_cache(maxsize=8)
def _compiled(plan: str) -> dict[str, dict[str, str]]:
    """Compile a plan given as JSON: seconds, and a training meets the champion's plan beside its own."""
    read = FeaturePlan.from_json(json.loads(plan))
    return {engine: read.steps(engine) for engine in ENGINES}


@lru_cache(maxsize=32)
def _compiled_profile(plan: str, engine: str) -> str:
    read = FeaturePlan.from_json(json.loads(plan))
    lines = read.order_lines() if read.reads_orders else None
    table = profile(lines, unbound_spine(), has_category="category" in read.order_columns)
    return str(ibis.to_sql(table, dialect=engine))
