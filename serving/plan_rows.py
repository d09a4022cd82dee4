"""The rows of a plan, one per customer, and what is said of the whole."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.instants import EPOCH, Cutoff
from features.plan import FeaturePlan
from features.treatment_settings import NOTHING, PERSON, PlanSettings
from models.beliefs import INTERVAL
from models.contact_rules import ARMS, CLOSED
from models.effects import Effect
from models.likelihood import Vector
from models.next_product import next_products
from models.personal_texts import personal_texts
from models.plan_reasons import CLOSES, PlanReasons
from models.planning import Proposal
from models.relaxation import NO_ARM
from serving.plans import ROWS

BY_A_PERSON = "automated_opt_out"
DIGITS = 9
"""Of a propensity: 1 less shares is no round number, and weights need those of one in a million exactly."""
_FIRST_RULE = f"""
SELECT customer_id, rule, string_agg(treatment, ', ' ORDER BY treatment) AS treatments
FROM {CLOSED} ANTI JOIN {ARMS} USING (customer_id)
GROUP BY customer_id, rule
QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY list_position($rules, rule)) = 1
"""


@dataclass(frozen=True)
class PlanRows:
    """What the rows are told from.

    Parameters
    ----------
    connection
        With the tables ``arms`` and ``closed``, and the staged orders.
    proposal
        For everybody in the run.
    settings
        The ``[plan]``.
    cutoff
        Of the run.
    features
        Tell which order lines are purchases.
    language
        Of the reasons.
    """

    connection: duckdb.DuckDBPyConnection
    proposal: Proposal
    settings: PlanSettings
    cutoff: Cutoff
    features: FeaturePlan
    language: str

    def table(self) -> pa.Table:
        """Return one row per customer, with the columns of `serving.plans.ROWS`."""
        expected, decisions, chosen = self.proposal.expected, self.proposal.decisions, self._chosen
        is_treated = chosen != NO_ARM
        names = np.array([*(playbook.name for playbook in self.proposal.playbooks), NOTHING], dtype=object)
        gain = self._picked(expected.gain)
        half = INTERVAL * self._picked(expected.sd * expected.kept)
        columns: dict[str, Any] = {
            "customer_id": self._ids,
            "treatment": names[chosen],
            "channel": self._channels(),
            **{name: pa.array([day] * len(chosen), mask=~is_treated) for name, day in self._due().items()},
            "expected_cost": self._picked(expected.cost),
            "expected_gain": gain,
            "gain_low": gain - half,
            "gain_high": gain + half,
            "is_holdout": decisions.is_holdout,
            "is_explored": decisions.is_explored,
            "propensity": decisions.propensity.round(DIGITS),
            "candidates": self._candidates(),
            "product_id": self._products(),
            "text": self._texts(names[chosen]),
            "reason": self._reasons.told(),
        }
        arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in ROWS]
        return pa.table(arrays, schema=ROWS)

    def left_alone(self) -> dict[str, int]:
        """Count who gets nothing, by what decided (`models.plan_reasons`), the commonest first."""
        rules = self._reasons.rules[self._chosen == NO_ARM]
        return dict(Counter(rules.tolist()).most_common())

    @property
    def _chosen(self) -> NDArray[np.int64]:
        return self.proposal.decisions.arm

    @property
    def _ids(self) -> NDArray[np.object_]:
        return self.proposal.arms.customer_ids

    def _picked(self, values: Vector) -> Vector:
        """Return each customer's value of what was chosen; NaN for nothing."""
        rows = np.arange(len(self._chosen))
        return np.where(self._chosen == NO_ARM, np.nan, values[rows, self._chosen])

    def _candidates(self) -> NDArray[np.object_]:
        """Name the treatments that had a chance, in the order of the playbooks; null without any."""
        rows, which = np.unique(self.proposal.decisions.is_candidate, axis=0, return_inverse=True)
        names = np.array([playbook.name for playbook in self.proposal.playbooks], dtype=object)
        return np.array([json.dumps(list(names[row])) if row.any() else None for row in rows], dtype=object)[
            which
        ]

    def _channels(self) -> NDArray[np.object_]:
        rows, chosen = np.arange(len(self._chosen)), self._chosen
        names = np.array([*self.proposal.arms.channels, None], dtype=object)
        places = np.where(
            chosen == NO_ARM, len(self.proposal.arms.channels), self.proposal.arms.channel[rows, chosen]
        )
        channels = names[places]
        by_a_person = {customer for customer, (rule, _) in self._closed.items() if rule == BY_A_PERSON}
        if by_a_person:
            channels[[customer in by_a_person for customer in self._ids]] = PERSON
        return np.asarray(channels)

    def _due(self) -> dict[str, date | None]:
        """Return the first day of the plan that is not quiet, null without one, and its last day."""
        first = self.settings.first_day(self.cutoff.day)
        last = EPOCH.date() + timedelta(days=self.cutoff.day + self.settings.due_days - 1)
        return {"due_from": None if first is None else EPOCH.date() + timedelta(days=first), "due_to": last}

    @cached_property
    def _reasons(self) -> PlanReasons:
        return PlanReasons(self.proposal, self._closed, language=self.language)

    @cached_property
    def _closed(self) -> dict[str, tuple[str, str]]:
        """Why nothing is open, and which treatments would be, by customers without an arm."""
        found = self.connection.execute(_FIRST_RULE, {"rules": list(CLOSES)}).fetchall()
        return {customer: (rule, treatments) for customer, rule, treatments in found}

    def _texts(self, treatments: NDArray[np.object_]) -> list[str | None]:
        """Return what is to be done, of customers whose treatment's text tells something of their own."""
        assigned = pa.table({"customer_id": self._ids, "treatment": treatments})
        due = {name: str(day) for name, day in self._due().items()}
        texts = personal_texts(self.connection, self.proposal.playbooks, assigned, due)
        return [texts.get(customer) for customer in self._ids]

    def _products(self) -> NDArray[np.object_]:
        """Return the next product of customers whose treatment offers one."""
        products = np.full(len(self._chosen), None, dtype=object)
        wanted = [at for at, playbook in enumerate(self.proposal.playbooks) if playbook.needs_product]
        rows = np.flatnonzero(np.isin(self._chosen, wanted))
        if len(rows):
            asked = pa.table({"customer_id": pa.array(self._ids[rows], pa.string())})
            self.connection.register("asked", asked)
            found = next_products(self.connection, self.features, cutoff=self.cutoff, customers="asked")
            best = dict(found.project("customer_id, product_id").fetchall())
            self.connection.unregister("asked")
            products[rows] = [best.get(customer) for customer in self._ids[rows]]
        return products


def summary(proposal: Proposal, effects: Mapping[str, Effect]) -> dict[str, Any]:
    """Return what is said of the whole plan, as plain data.

    Returns
    -------
    All ``channels``, the ``limits`` by name as of `models.planning.LimitUse`, ``bound`` and ``achieved`` gain
    of what was left to choose, whether the treatments are the shipped ones, the measured ones that are
    ``unplanned``, and by treatment whether it is ``is_losing``, to how many customers it is ``open``, the
    text of its ``effect`` and what is ``assumed`` by it on average of those it is meant for, the ``trust`` in
    what was measured, and why nothing was, ``unmeasured``.
    """
    expected, decisions = proposal.expected, proposal.decisions
    open_to = proposal.arms.is_open.sum(axis=0).tolist()
    known = {name for name, effect in effects.items() if effect.reason is None}
    return {
        "channels": list(proposal.arms.channels),
        "is_shipped": all(playbook.is_shipped for playbook in proposal.playbooks),
        "unplanned": sorted(known - {playbook.name for playbook in proposal.playbooks}),
        "limits": {name: asdict(use) for name, use in decisions.limits.items()},
        "bound": decisions.bound,
        "achieved": decisions.achieved,
        "treatments": {
            playbook.name: {
                "priority": playbook.priority,
                "text": playbook.text,
                "is_losing": playbook.name in expected.losing,
                "open": open_to[at],
                "effect": playbook.effect.text,
                "assumed": proposal.assumed(at),
                "trust": expected.trust[playbook.name],
                "unmeasured": effects[playbook.name].reason if playbook.name in effects else None,
            }
            for at, playbook in enumerate(proposal.playbooks)
        },
    }
