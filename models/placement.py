"""Where each customer stands: tier, stage, loyalty and classes, by rules whose cut points a run has measured.

The rules are SQL over one wide row per customer (a subject: features, forecasts, profile, attributes) that
DuckDB and SQLite understand alike, so that a live request is placed by the text that placed everybody else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import duckdb

from features.contract import Kind
from features.silence import Rhythm
from features.tier_settings import TierSettings
from models import contract_lifecycle, lifecycle
from models.classes import NEEDS, Bands, Need, frequency_band_sql, monetary_band_sql, need_sql
from models.condition_values import literal
from models.cuts import Cuts
from models.tiers import TierPolicy

CLASSES = ("lifecycle_stage", "loyalty_tier", "is_base_customer", "need", "frequency_band", "monetary_band")
CLASS_KINDS = dict.fromkeys(CLASSES, Kind.TEXT) | {"is_base_customer": Kind.FLAG}
"""What conditions may name beside the columns of a subject: what a customer is classed as."""
BANDS = ("frequency_band", "monetary_band")
READ = (
    *("orders_all", "orders_365d", "spend_365d", "recency_days", "tenure_days", "gap_max_days"),
    *("contract_runs", "contract_age_days", "contracts_before", "contract_lapsed"),
    *("return_days", "churn_risk", "churn_risk_percentile", "clv", "potential_score"),
    *(column for evidence in NEEDS.values() for column in evidence),
)
"""The columns of a subject, as far as known, that classes and the default tiers are told from."""


@dataclass(frozen=True)
class Placement:
    """The rules of a run.

    Parameters
    ----------
    setting
        Transactional, contractual or labelled.
    horizon_days
        Of the forecast.
    established_orders
        From how many orders a customer is established.
    minimum_stay_days
        How long a customer stays in a tier after a move.
    rhythm
        The silences that are unusual in the shop.
    policy
        The tiers.
    cuts
        The cut points that were measured: those of ``tiers``, ``classes`` and ``contracts``.
    """

    setting: str
    horizon_days: int
    established_orders: int
    minimum_stay_days: int
    rhythm: Rhythm
    policy: TierPolicy
    cuts: Mapping[str, Cuts]

    def measured(self, connection: duckdb.DuckDBPyConnection, source: str, settings: TierSettings) -> Self:
        """Measure the cut points in a table of subjects, given by its name."""
        cuts: dict[str, Cuts] = {"classes": {}, "contracts": {}, "tiers": {}}
        if self.setting != "labelled":
            cuts["classes"] = Need.measure(connection, source)
        if self.setting == "contractual":
            cuts["contracts"] = contract_lifecycle.measure(connection, source)
        if self.setting == "transactional":
            bands = Bands(settings.frequency_bands, settings.monetary_bands)
            cuts["classes"] = {**cuts["classes"], **bands.measure(connection, source)}
        classed = replace(self, cuts=cuts).classes_sql(source)
        return replace(self, cuts=cuts | {"tiers": self.policy.measure(connection, f"({classed})")})

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Restore the rules from plain data."""
        policy, rhythm = TierPolicy.from_json(plain["policy"]), Rhythm(**plain["rhythm"])
        return cls(**{**plain, "policy": policy, "rhythm": rhythm})

    def to_json(self) -> dict[str, Any]:
        """Return the rules as plain data."""
        return {
            "setting": self.setting,
            "horizon_days": self.horizon_days,
            "established_orders": self.established_orders,
            "minimum_stay_days": self.minimum_stay_days,
            "rhythm": asdict(self.rhythm),
            "policy": self.policy.to_json(),
            "cuts": {name: dict(cuts) for name, cuts in self.cuts.items()},
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a subject that the rules may read."""
        return columns_read(self.policy, [*READ, *self.policy.columns])

    @property
    def without_potential(self) -> str | None:
        """The tier above which there is none; null where the potential is the forecast itself."""
        return None if self.setting == "labelled" else self.policy.highest

    def stage_reason_sql(self) -> str:
        """Write why a customer is in the stage, as JSON that `models.wording.told_move` tells."""
        if self.setting != "transactional":
            return "'[{\"rule\": \"contract_' || lifecycle_stage || '\"}]'"
        facts = f'"lapsing": {self.rhythm.lapsing_days}, "lost": {self.rhythm.lost_days}'
        return (
            '\'[{"rule": "stage_\' || lifecycle_stage || \'", "orders": \' || '
            "CAST(coalesce(orders_all, 0) AS BIGINT) || ', \"days\": ' || "
            f"CAST(coalesce(recency_days, 0) AS BIGINT) || ', {facts}}}]'"
        )

    def classes_sql(self, source: str) -> str:
        """Write a query: the columns of the subjects, and `CLASSES`."""
        classes = zip(CLASSES, self._classes(), strict=True)
        told = ", ".join(f'{text} AS "{name}"' for name, text in classes)
        return f"SELECT subjects.*, {told} FROM {source} AS subjects"

    def place_sql(self, source: str) -> str:
        """Write a query: the columns of the subjects, `CLASSES`, and the tier without a history."""
        tier = self.policy.place_sql(self.cuts["tiers"])
        return f"SELECT classed.*, {tier} AS value_tier FROM ({self.classes_sql(source)}) AS classed"

    def follow_sql(self, source: str) -> str:
        """Write a query: as `place_sql`, with the tier that follows from the one before.

        Who meets the condition of a flow moves at once. Anybody else stays for `minimum_stay_days` after a
        move, and as long as the old tier's eased condition holds and no better tier's condition does.

        Parameters
        ----------
        source
            Subjects with ``previous_tier`` (null for a newcomer), ``has_moved`` (whether another tier came
            before that) and ``days_in_tier``.

        Returns
        -------
        Beside the columns of `place_sql`: ``flow``, the number of the flow that holds, null without.
        """
        policy, cuts = self.policy, self.cuts["tiers"]
        is_known = f"previous_tier IN ({', '.join(map(literal, policy.names))})"
        is_bound = f"has_moved AND days_in_tier < {self.minimum_stay_days}"
        return (
            "SELECT * EXCLUDE (fresh_tier, keeps), CASE WHEN flow IS NULL AND keeps THEN previous_tier "
            "ELSE fresh_tier END AS value_tier FROM (SELECT classed.*, "
            f"{policy.place_sql(cuts)} AS fresh_tier, {policy.flow_sql(cuts)} AS flow, "
            f"coalesce({is_known} AND ({is_bound} OR {policy.keep_sql(cuts)}), false) AS keeps "
            f"FROM ({self.classes_sql(source)}) AS classed) AS followed"
        )

    def _classes(self) -> list[str]:
        nothing = ["CAST(NULL AS TEXT)", "CAST(NULL AS TEXT)", "CAST(NULL AS INTEGER)"]
        if self.setting == "labelled":
            return [*nothing, *nothing[:1] * 3]
        classes, contracts = self.cuts["classes"], self.cuts["contracts"]
        if self.setting == "contractual":
            days = self.horizon_days
            stages = [
                contract_lifecycle.stage_sql(contracts, horizon_days=days),
                contract_lifecycle.loyalty_sql(contracts, horizon_days=days),
                contract_lifecycle.base_sql(contracts, horizon_days=days),
            ]
            return [*stages, need_sql(classes), *nothing[:1] * 2]
        least = self.established_orders
        stages = [
            lifecycle.stage_sql(self.rhythm, established_orders=least),
            lifecycle.loyalty_sql(self.rhythm, established_orders=least),
            lifecycle.base_sql(self.rhythm, established_orders=least),
        ]
        return [*stages, need_sql(classes), frequency_band_sql(classes), monetary_band_sql(classes)]


def columns_read(policy: TierPolicy, available: Iterable[str]) -> tuple[str, ...]:
    """Return which of the columns at hand the rules may read, each once; classes are none."""
    wanted = {*READ, *policy.columns} - {*CLASSES}
    return tuple(dict.fromkeys(name for name in available if name in wanted))


def class_kinds(setting: str) -> dict[str, Kind]:
    """Return the classes that there are in a setting, with what they hold: contracts have no bands."""
    if setting == "labelled":
        return {}
    left_out = BANDS if setting == "contractual" else ()
    return {name: kind for name, kind in CLASS_KINDS.items() if name not in left_out}
