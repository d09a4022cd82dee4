"""Classes of customers beside the tiers: how often and for how much they buy, and what they look for.

Cut points depend on all customers, so they are measured once per run (`measure`, on DuckDB) and put into
SQL (`..._sql`) that reads one customer's columns and runs on SQLite and DuckDB alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import duckdb

from models.cuts import Cuts

HIGH, MEDIUM = 0.2, 0.6
"""Of those who bought in the last year: the shares that are high, and high or medium, at most."""
MOST = 3
"""Contacts on one matter beyond which more tell no more."""
CLEARLY = 1.0
"""Standard deviations above the mean from which evidence counts."""

NOTHING = 1e-9
"""A standard deviation that is but rounding."""
FEW_ORDERS = 3
"""So many orders tell half of how somebody buys; a single one tells nothing."""


class Evidence(NamedTuple):
    """What tells a need: a value, and from 0 to 1 how far it is to be trusted, as SQL."""

    value: str
    trust: str = "1"

    @property
    def columns(self) -> set[str]:
        """The columns that it is told from."""
        return set(re.findall(r'"(\w+)"', self.value + self.trust))

    def above(self, usual: float) -> str:
        """Write how far it lies above the usual; 0 where it is not known."""
        return f"coalesce(({self.value} - {usual!r}) * {self.trust}, 0)"


def _counts(*names: str) -> dict[str, Evidence]:
    columns = [f"{name}_365d" for name in names]
    most = 'CASE WHEN "{0}" > {1} THEN {1} ELSE "{0}" END'
    return {column: Evidence(most.format(column, MOST)) for column in columns}


def _bought(value: str) -> Evidence:
    """Trust what all orders of a customer tell the more, the more they are."""
    return Evidence(
        f'CASE WHEN "orders_all" > 1 THEN {value} END', f'"orders_all" / ("orders_all" + {FEW_ORDERS}.0)'
    )


def _shares(*columns: str) -> dict[str, Evidence]:
    within = 'CASE WHEN "{0}" > 1 THEN 1 WHEN "{0}" < 0 THEN 0 ELSE "{0}" END'
    return {column: _bought(within.format(column)) for column in columns}


NEEDS: dict[str, dict[str, Evidence]] = {
    "service": _counts(
        *("feedback_complaint", "feedback_inquiry", "call", "message", "chat"),
        *("topic_after_sales", "topic_technical", "topic_service", "topic_delivery"),
    ),
    "price": _shares("discount_share", "discounted_lines_share") | _counts("topic_price", "topic_discount"),
    "product": {
        "products_all": _bought('"products_all" / "orders_all"'),
        "category_concentration": _bought('"category_concentration" * "products_all" / "orders_all"'),
        **_shares("refund_share"),
        **_counts("topic_product", "topic_quality"),
    },
}
"""By need the columns that are evidence of it, and how; those that a company does not record are left out.

With products alone it is how many different ones an order brings; with categories also how many of the same.
"""


@dataclass(frozen=True)
class Bands:
    """High, medium and low by ``orders_365d`` and ``spend_365d``.

    Parameters
    ----------
    frequency, monetary
        The company's own amounts: from where on medium, and high. Without them the highest fifth of those
        who bought in the last year is high, and the two fifths after it are medium; equals stand together,
        in the lower band if they do not all fit into the higher one.
    """

    frequency: tuple[float, float] | None = None
    monetary: tuple[float, float] | None = None

    def measure(self, connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, float | None]:
        """Find the cut points in a table of customers; null where nobody bought in the last year."""
        medium, high = self.frequency or _quantile_cuts(connection, source, "orders_365d")
        cuts = {"frequency_medium": medium, "frequency_high": high}
        medium, high = self.monetary or _quantile_cuts(connection, source, "spend_365d")
        return cuts | {"monetary_medium": medium, "monetary_high": high}


def frequency_band_sql(cuts: Cuts) -> str:
    """Write the band of orders in the last 365 days: low without any, null without any order ever."""
    return _band("orders_365d", cuts["frequency_medium"], cuts["frequency_high"])


def monetary_band_sql(cuts: Cuts) -> str:
    """Write the band of spend in the last 365 days: low without an order, null without any order ever."""
    return _band("spend_365d", cuts["monetary_medium"], cuts["monetary_high"])


class Need:
    """The need of a customer, relative to all customers of the company.

    Each piece of evidence in `NEEDS` is measured in standard deviations above its mean over all customers,
    those of one need are added up, and the sum is measured in its own standard deviations. The need with
    the highest sum counts, if that is above `CLEARLY`; of equals the first in `NEEDS`. Null without.
    """

    @staticmethod
    def measure(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, float | None]:
        """Measure by ``need.column`` the ``usual`` value and the ``weight`` of what lies above it.

        Parameters
        ----------
        source
            The name of a table of customers.
        """
        known = {row[0] for row in connection.execute(f"DESCRIBE {source}").fetchall()}
        cuts: dict[str, float | None] = {}
        for need, evidence in NEEDS.items():
            values = {column: each.value for column, each in evidence.items() if each.columns <= known}
            usual = _aggregates(connection, source, "avg", values)
            above = {column: evidence[column].above(mean) for column, mean in usual.items()}
            spread = _aggregates(connection, source, "stddev_pop", above)
            total = " + ".join(f"{above[column]} / {deviation!r}" for column, deviation in spread.items())
            whole = _aggregates(connection, source, "stddev_pop", {need: total} if total else {})
            for column, deviation in spread.items() if whole else ():
                cuts[f"{need}.{column}.usual"] = usual[column]
                cuts[f"{need}.{column}.weight"] = _rounded(1 / deviation / whole[need])
        return cuts


def need_sql(cuts: Cuts) -> str:
    """Write the need of a customer from cut points as of `Need.measure`."""
    scores = {need: score for need in NEEDS if (score := _score(cuts, need))}
    if not scores:
        return "CAST(NULL AS TEXT)"
    cases = []
    for need, score in scores.items():
        others = "".join(f" AND {score} >= {other}" for other in scores.values() if other != score)
        cases.append(f"WHEN {score} > {CLEARLY}{others} THEN '{need}'")
    return f"CASE {' '.join(cases)} END"


def _score(cuts: Cuts, need: str) -> str:
    """Write how far the evidence of a need lies above the usual; empty without any evidence."""
    terms = [
        f"{evidence.above(usual)} * {weight!r}"
        for column, evidence in NEEDS[need].items()
        if (usual := cuts.get(f"{need}.{column}.usual")) is not None
        and (weight := cuts.get(f"{need}.{column}.weight")) is not None
    ]
    return f"({' + '.join(terms)})" if terms else ""


def _aggregates(
    connection: duckdb.DuckDBPyConnection, source: str, aggregate: str, texts: Mapping[str, str]
) -> dict[str, float]:
    """Aggregate expressions by name; those never known, and spreads of what never varies, are left out."""
    if not texts:
        return {}
    measured = ", ".join(f"{aggregate}({text})" for text in texts.values())
    found = connection.execute(f"SELECT {measured} FROM {source}").fetchall()[0]
    return {
        name: _rounded(value)
        for name, value in zip(texts, found, strict=True)
        if value is not None and (aggregate == "avg" or value > NOTHING)
    }


def _rounded(value: float) -> float:
    """Round to what does not hang on the order in which an engine adds up."""
    return float(f"{value:.9g}")


def _quantile_cuts(
    connection: duckdb.DuckDBPyConnection, source: str, column: str
) -> tuple[float | None, float | None]:
    """Return the least values that at most `MEDIUM` and `HIGH` of the last year's buyers reach."""
    return connection.execute(
        f"SELECT min(value) FILTER (reached <= {MEDIUM}), min(value) FILTER (reached <= {HIGH}) FROM "
        f"(SELECT value, sum(customers) OVER (ORDER BY value DESC) / sum(customers) OVER () AS reached FROM "
        f'(SELECT "{column}" AS value, count(*) AS customers FROM {source} WHERE orders_365d > 0 GROUP BY 1))'
    ).fetchall()[0]


def _band(column: str, medium: float | None, high: float | None) -> str:
    cases = "".join(
        f"WHEN \"{column}\" >= {float(cut)!r} THEN '{band}' "
        for band, cut in (("high", high), ("medium", medium))
        if cut is not None
    )
    return (
        'CASE WHEN coalesce("orders_all", 0) = 0 THEN NULL WHEN "orders_365d" = 0 THEN \'low\' '
        f"{cases}ELSE 'low' END"
    )
