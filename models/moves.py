"""Why a customer moves: the facts that decided a condition, as plain data that `models.wording` tells."""

from typing import Any

from features.contract import Kind
from models.clauses import Demand
from models.condition_values import Column, Plain, Row, Value
from models.conditions import Condition
from models.cuts import Cuts

MOST = 3
"""Facts told of one move."""
Fact = dict[str, Any]


def facts(condition: Condition, cuts: Cuts, *, before: Row | None, now: Row) -> list[Fact]:
    """Return what made a condition hold, or fail, for a customer: what changed since, if anything did.

    Parameters
    ----------
    before
        The customer's values when last placed; null for who was not.

    Returns
    -------
    Per fact ``feature`` (a column, or a formula as text), ``value``, ``before`` (left out where the row
    before does not tell), and what is demanded: ``bound`` and ``point`` as of `models.clauses.Demand`.
    """
    demands = [
        demand
        for clause, wanted in condition.clause.deciding(now, cuts)
        if (demand := clause.demand(cuts, wanted=wanted)) is not None
    ]
    found = [_fact(demand, before, now) for demand in demands]
    unique = [fact for number, fact in enumerate(found) if fact not in found[:number]]
    changed = [fact for fact in unique if "before" in fact and fact["before"] != fact["value"]]
    return (changed or unique)[:MOST]


def _fact(demand: Demand, before: Row | None, now: Row) -> Fact:
    is_told = before is not None and all(name in before for name in demand.value.columns())
    earlier = (
        {"before": _plain(demand.value, demand.value.of(before))} if before is not None and is_told else {}
    )
    point = demand.point if isinstance(demand.point, list) else _plain(demand.value, demand.point)
    value = _plain(demand.value, demand.value.of(now))
    return {"feature": demand.value.text, "value": value, **earlier, "bound": demand.bound, "point": point}


def _plain(value: Value, known: Plain | None) -> Plain | None:
    """Return a value as JSON has it: a flag as such, a number with nine digits."""
    if not isinstance(known, float):
        return known
    is_flag = isinstance(value, Column) and value.kind is Kind.FLAG
    return bool(known) if is_flag else float(f"{known:.9g}")
