"""The tier policy: which customer is in which tier, as SQL over one wide row per customer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import duckdb

from features.contract import Kind
from features.errors import InputError
from features.tier_settings import TierSettings, default_levels
from models.condition_text import Texts
from models.condition_values import Row, literal
from models.conditions import Condition
from models.cuts import Cut, Cuts, measured_cuts
from models.moves import facts
from models.tier_levels import TierFlow, TierLevel, check_policy

POTENTIAL_SCORE = "potential_score"
"""Its cut points are taken among those for whom the highest tier's condition does not hold."""

OWN = frozenset(
    ("value_tier", "fresh_tier", "flow", "keeps", "reason", "previous_tier", "tier_before", "reason_before")
) | {"started", "has_moved", "days_in_tier", "previous_stage"}
"""Columns that tell where a customer stood, beside those of a subject: no attribute may be called so."""
CLASSES: Texts = {
    "lifecycle_stage": (
        "prospect",
        "first_time",
        "repeat",
        "established",
        "lapsing",
        "lost",
        "won_back",
    ),
    "loyalty_tier": ("loyal", "regular", "at_risk"),
    "need": ("product", "price", "service"),
    "frequency_band": ("high", "medium", "low"),
    "monetary_band": ("high", "medium", "low"),
}
"""What a customer can be classed as; a condition that asks for anything else is an error."""


@dataclass(frozen=True)
class TierPolicy:
    """Tiers, best first; a customer is in the first whose condition holds.

    Parameters
    ----------
    levels
        The tiers.
    flows
        Rules that override them, the first that holds.
    hysteresis
        The share by which conditions are eased for who is in a tier already.
    kinds
        What the columns hold that the conditions read.
    """

    levels: tuple[TierLevel, ...]
    flows: tuple[TierFlow, ...]
    hysteresis: float
    kinds: Mapping[str, Kind]

    @classmethod
    def of(
        cls,
        settings: TierSettings,
        *,
        setting: str,
        label_means: str | None = None,
        columns: Mapping[str, Kind],
    ) -> Self:
        """Check the settings and make the policy.

        Parameters
        ----------
        setting, label_means
            Of the project, and of its label: they choose the tiers of a company that names none.
        columns
            Of the subjects, with what they hold.

        Raises
        ------
        InputError
            A name stands twice, a condition is wrong or names an attribute called as one of `OWN`, a tier
            can never be reached, some customers would be in none, or a flow leads to a tier that is none.
        """
        levels = settings.levels or default_levels(setting, label_means, tuple(columns))
        policy = cls._read(
            [level.model_dump() for level in levels],
            [flow.model_dump() for flow in settings.flows],
            settings.hysteresis,
            columns,
        )
        check_policy(policy.levels, policy.flows)
        if taken := [name for name in policy.columns if name.lower() in OWN]:
            raise InputError(
                f"tiers: a condition names the attribute {taken[0]!r}, but a column of tiers is called so; "
                "rename it in the source of customers"
            )
        return policy

    @classmethod
    def _read(
        cls,
        levels: Iterable[Mapping[str, Any]],
        flows: Iterable[Mapping[str, Any]],
        hysteresis: float,
        columns: Mapping[str, Kind],
    ) -> Self:
        def read(text: str, place: str) -> Condition:
            where = f"tiers.{place}.when"
            return Condition.read(text, columns=columns, where=where, texts=CLASSES)

        tiers = tuple(
            TierLevel(each["name"], None if each["when"] is None else read(each["when"], f"levels.{number}"))
            for number, each in enumerate(levels)
        )
        rules = tuple(
            TierFlow(each["tier"], read(each["when"], f"flows.{number}"), each["reason"])
            for number, each in enumerate(flows)
        )
        policy = cls(tiers, rules, hysteresis, columns)
        return cls(tiers, rules, hysteresis, {name: columns[name] for name in policy.columns})

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Restore a policy from plain data; its conditions are parsed again."""
        columns = {name: Kind(kind) for name, kind in plain["columns"].items()}
        return cls._read(plain["levels"], plain["flows"], plain["hysteresis"], columns)

    def to_json(self) -> dict[str, Any]:
        """Return the policy as plain data."""
        return {
            "levels": [
                {"name": level.name, "when": None if level.when is None else level.when.text}
                for level in self.levels
            ],
            "flows": [
                {"tier": flow.tier, "when": flow.when.text, "reason": flow.reason} for flow in self.flows
            ],
            "hysteresis": self.hysteresis,
            "columns": {name: kind.value for name, kind in self.kinds.items()},
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tiers, best first."""
        return tuple(level.name for level in self.levels)

    @property
    def highest(self) -> str:
        """The best tier."""
        return self.names[0]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the conditions read."""
        conditions = [
            *(level.when for level in self.levels if level.when),
            *(flow.when for flow in self.flows),
        ]
        return tuple(dict.fromkeys(name for condition in conditions for name in condition.columns))

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """All cut points that are needed, of the levels' eased conditions too."""
        variants = [
            level.when.eased(by) for level in self.levels if level.when for by in (0.0, self.hysteresis)
        ]
        conditions = [*variants, *(flow.when for flow in self.flows)]
        return tuple(dict.fromkeys(cut for condition in conditions for cut in condition.cuts))

    def measure(
        self, connection: duckdb.DuckDBPyConnection, source: str = "subjects"
    ) -> dict[str, float | None]:
        """Take the cut points of a run, by `Cut.key`.

        Those of the potential score are taken among the customers for whom the highest tier's condition does
        not hold, unless that condition ranks the potential score itself.

        Parameters
        ----------
        source
            A table with one row per customer, or a query in brackets.
        """
        highest = self.levels[0].when
        own = highest.cuts if highest else ()
        later = [
            cut
            for cut in self.cuts
            if cut.column == POTENTIAL_SCORE and all(each.column != POTENTIAL_SCORE for each in own)
        ]
        points = measured_cuts(connection, [cut for cut in self.cuts if cut not in later], source)
        if highest:
            source = f"(SELECT * FROM {source} AS all_subjects WHERE NOT {highest.sql(points)})"
        return points | measured_cuts(connection, later, source)

    def place_sql(self, cuts: Cuts) -> str:
        """Write the tier of a customer without a history: that of the first flow, else level."""
        rules = [(flow.when, flow.tier) for flow in self.flows]
        rules += [(level.when, level.name) for level in self.levels[:-1] if level.when]
        whens = "".join(f" WHEN {when.sql(cuts)} THEN {literal(name)}" for when, name in rules)
        rest = literal(self.names[-1])
        return f"CASE{whens} ELSE {rest} END" if whens else rest

    def keep_sql(self, cuts: Cuts) -> str:
        """Write whether a customer stays in ``previous_tier``; false where that is no tier of this policy.

        So it is where the old tier's eased condition holds, and no better tier's condition.
        """
        whens = "".join(
            f" WHEN {literal(level.name)} THEN {' AND '.join(self._stays(number, cuts))}"
            for number, level in enumerate(self.levels)
        )
        return f"CASE previous_tier{whens} ELSE false END"

    def _stays(self, number: int, cuts: Cuts) -> list[str]:
        own = self._kept[self.names[number]]
        better = [level.when for level in self.levels[:number] if level.when]
        return [own.sql(cuts) if own else "true", *(f"NOT {when.sql(cuts)}" for when in better)]

    def flow_sql(self, cuts: Cuts) -> str:
        """Write the number of the first flow that holds, from 0; null for none."""
        whens = "".join(f" WHEN {flow.when.sql(cuts)} THEN {at}" for at, flow in enumerate(self.flows))
        return f"CASE{whens} END" if whens else "CAST(NULL AS INTEGER)"

    @cached_property
    def _kept(self) -> dict[str, Condition | None]:
        """By tier the condition under which a customer stays."""
        return {level.name: level.when and level.when.eased(self.hysteresis) for level in self.levels}

    def because(
        self, cuts: Cuts, row_before: Row | None, row_now: Row, before: str | None, now: str
    ) -> list[dict[str, Any]]:
        """Return why a customer is now in a tier, as plain data for `models.wording.told_move`.

        Parameters
        ----------
        row_before, row_now
            The customer's values by column, then (null where there is none) and now.
        before, now
            The tiers; `before` is null for who had none.

        Returns
        -------
        Per reason its ``rule`` (``flow``, ``gone``, ``rest``, ``leaves`` or ``enters``), ``tier``, and what
        the rule tells: the ``reason`` of a flow, the facts of a condition.
        """
        flow = next((flow for flow in self.flows if flow.when.holds(row_now, cuts)), None)
        if flow and flow.tier == now:
            return [{"rule": "flow", "tier": now, "reason": flow.reason}]
        gone = [{"rule": "gone", "tier": before}] if before and before not in self._kept else []
        rule, tier, deciding = "enters", now, self.levels[self.names.index(now)].when
        if before in self._kept and self.names.index(before) < self.names.index(now):
            kept = self._kept[before]
            if kept and not kept.holds(row_now, cuts):
                rule, tier, deciding = "leaves", before, kept
        told = facts(deciding, cuts, before=row_before, now=row_now) if deciding else []
        found = [{"rule": rule, "tier": tier, **fact} for fact in told]
        return [*gone, *(found or [{"rule": "rest", "tier": now}])]
