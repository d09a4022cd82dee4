"""What the company knows of a customer as such: number, text and flag columns of ``customers``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from features.contract import CUSTOMERS, DAY, Kind, slug
from features.days import SUBJECT
from features.instants import Cutoff

LONG_AGO = -(2**62)


@dataclass(frozen=True)
class Attribute:
    """One attribute that is a feature.

    Parameters
    ----------
    name
        Its column in ``customers``.
    kind
        Number, flag or text.
    values
        Of a text: the values known; a value's place in them is its code, any other value is null.
    fixed
        Whether it never changes, so that rows without ``valid_from`` tell it.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    fixed: bool = False

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Attribute":
        """Restore an attribute from plain data."""
        return cls(plain["name"], Kind(plain["kind"]), tuple(plain["values"]), plain["fixed"])

    @property
    def feature(self) -> str:
        """The name of its feature."""
        return f"customer_{slug(self.name)}"


def unbound_customers(attributes: Sequence[Attribute]) -> ir.Table:
    """Return the canonical ``customers`` with these attributes as an expression: one row per version."""
    columns = {name: kind.ibis_type for name, kind in CUSTOMERS.staged.items()}
    columns |= {each.name: each.kind.ibis_type for each in attributes}
    return ibis.table(columns, name="customers")


def summary(customers: ir.Table, spine: ir.Table, attributes: Sequence[Attribute]) -> ir.Table:
    """Select each subject's row at `as_of`: the latest with ``valid_from`` before it, else one without.

    Returns
    -------
    One row per subject that stands in ``customers``: the attributes as numbers, and ``joined_at``.
    """
    joined = spine.join(customers, "customer_id")
    joined = joined.filter(joined.valid_from.isnull() | (joined.valid_from < joined.as_of))
    newest_first = ibis.row_number().over(
        group_by=SUBJECT, order_by=ibis.desc(joined.valid_from.fill_null(LONG_AGO))
    )
    latest = joined.mutate(place=newest_first).filter(lambda t: t.place == 0)
    values = {f"_{each.feature}": _number(latest, each) for each in attributes}
    return latest.select(SUBJECT, "joined_at", **values)


def customers_at(cutoff: Cutoff) -> str:
    """Write DuckDB's query for each customer's row of the staged ``customers``, chosen as in `summary`."""
    return (
        f"SELECT * FROM {CUSTOMERS.name} WHERE coalesce(valid_from < {cutoff.micros}, TRUE) "
        "QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY valid_from DESC NULLS LAST) = 1"
    )


def features(t: ir.Table, attributes: Sequence[Attribute], *, knows_joining: bool) -> dict[str, ir.Value]:
    """Derive the features of attributes.

    Returns
    -------
    Per customer and `as_of`: ``customer_{name}``: a number as it is, a flag as 0 or 1, a text as the
    place (from 0) of its value; and, where joining is known, ``joined_days`` since the customer joined
    (null when that is not known to lie before `as_of`).
    """
    derived = {each.feature: t[f"_{each.feature}"] for each in attributes}
    if not knows_joining:
        return derived
    since = (t.joined_at < t.as_of).ifelse((t.as_of - t.joined_at) // DAY, ibis.null("int64"))
    return derived | {"joined_days": since}


def _number(customers: ir.Table, attribute: Attribute) -> ir.FloatingValue:
    value = customers[attribute.name]
    if attribute.kind is Kind.TEXT:
        codes = [(value == known, float(code)) for code, known in enumerate(attribute.values)]
        number = ibis.cases(*codes, else_=ibis.null("float64"))
    else:
        number = value.cast("float64")
    if attribute.fixed:
        return number
    return customers.valid_from.notnull().ifelse(number, ibis.null("float64"))
