"""What passed between a customer and the company besides orders: visits, e-mails, calls, messages."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from features.contract import INTERACTIONS, slug
from features.days import SUBJECT

WINDOWS = (7, 30, 90, 365)


def unbound_interactions() -> ir.Table:
    """Return the canonical ``interactions`` as an expression: one row per event."""
    columns = {name: kind.ibis_type for name, kind in INTERACTIONS.staged.items()}
    return ibis.table(columns, name="interactions")


def summary(interactions: ir.Table, kinds: Sequence[str]) -> ir.Table:
    """Aggregate known interactions by kind: one row per subject with any."""
    age = interactions.as_of_day - interactions.day
    measures: dict[str, ir.Value] = {}
    for kind in kinds:
        name, of_kind = slug(kind), interactions.kind == kind
        measures |= {
            f"{name}_{window}d": (of_kind & (age <= window)).ifelse(1, 0).sum() for window in WINDOWS
        }
        measures[f"{name}_all"] = of_kind.ifelse(1, 0).sum()
        measures[f"{name}_days_since"] = of_kind.ifelse(age, ibis.null("int64")).min()
    return interactions.group_by(SUBJECT).aggregate(**measures)


def features(t: ir.Table, kinds: Sequence[str]) -> dict[str, ir.Value]:
    """Derive the features of interactions.

    Returns
    -------
    Per customer and `as_of` and for every kind: ``{kind}_{w}d`` and ``{kind}_all``, how many there were
    over the last ``w`` days and ever (0 without any), and ``{kind}_days_since`` the last (null without any).
    """
    derived: dict[str, ir.Value] = {}
    for name in map(slug, kinds):
        counts = [f"{name}_{window}d" for window in WINDOWS] + [f"{name}_all"]
        derived |= {count: t[count].fill_null(0) for count in counts}
        derived[f"{name}_days_since"] = t[f"{name}_days_since"]
    return derived
