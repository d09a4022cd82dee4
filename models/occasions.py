"""Occasions to turn to a customer just now: a birthday, an anniversary, a better tier within reach."""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta

import duckdb

from features.attributes import customers_at
from features.batch import tables_in
from features.contract import CUSTOMERS, Kind
from features.instants import EPOCH, Cutoff
from features.parsing import FIRST, LAST, local_day
from features.survey import attribute_kinds
from models.clauses import Clause, Joined
from models.condition_values import Column, literal
from models.cuts import Cuts
from models.subjects import TABLE
from models.tier_levels import TierLevel
from models.tiers import TierPolicy

BIRTHDAY, TENURE, SPEND = "birthday", "tenure_days", "spend_365d"
VALUES = ("clv", "expected_value", "historic_value")
"""What more spend raises, beside spend itself."""
LIVED = f"DATE '{FIRST}' AND DATE '{LAST}'"
"""Between these lies a day of birth; what is read as another is none."""
LEAST = 0.25
"""The share of a tier's customers who spent less than what is told as its usual spend."""


def occasion_kinds(connection: duckdb.DuckDBPyConnection, columns: Collection[str]) -> dict[str, Kind]:
    """Return which occasions a company's records tell of, with what they hold: those of `add_occasions`.

    Parameters
    ----------
    connection
        With the staged tables.
    columns
        Of subjects.
    """
    kinds: dict[str, Kind] = {}
    if BIRTHDAY in attribute_kinds(connection):
        kinds |= {"birthday_in_days": Kind.NUMBER, "birthday_on": Kind.TEXT}
    if TENURE in columns or _knows_joining(connection):
        kinds |= {"anniversary_in_days": Kind.NUMBER, "anniversary_on": Kind.TEXT}
        kinds |= {"anniversary_years": Kind.NUMBER}
    if SPEND in columns:
        kinds |= {"next_tier": Kind.TEXT, "next_tier_spend": Kind.NUMBER}
    return kinds


def add_occasions(
    connection: duckdb.DuckDBPyConnection,
    policy: TierPolicy,
    cuts: Cuts,
    *,
    cutoff: Cutoff,
    time_zone: str,
) -> None:
    """Add the occasions to the table ``subjects``, those that the company's records tell of.

    - ``birthday_in_days``, ``birthday_on``: until the next birthday, 0 on it, and its date as text, from the
      attribute ``birthday`` of ``customers``: a date as 1990-03-04, 19900304 or 03-04; null for anything
      else. Who was born on 29 February has it on the 28th in other years.
    - ``anniversary_in_days``, ``anniversary_on``, ``anniversary_years``: likewise the next full year since
      ``joined_at``, or without it since the first order, and how many years those are.
    - ``next_tier``, ``next_tier_spend``: the nearest better tier that asks for value and whose bar the
      customer's spend of 365 days does not reach, and how much is missing in the project's currency. The bar
      is what the tier's condition asks of ``spend_365d`` where that is enough to be in it, else what three in
      four of the tier's customers spent at least: usual there, and no promise. Null where no tier is left.

    Parameters
    ----------
    connection
        With the tables ``subjects`` (with ``value_tier``) and, where there is one, the staged ``customers``.
    policy, cuts
        Of the run: the tiers and their cut points.
    cutoff
        Days are counted from its day.
    time_zone
        The project's.
    """
    columns = [name for name, *_ in connection.execute(f"DESCRIBE {TABLE}").fetchall()]
    today = EPOCH.date() + timedelta(days=cutoff.day)
    told = [
        *_birthday(connection, today),
        *_anniversary(connection, columns, today),
        *_next_tier(connection, columns, policy, cuts),
    ]
    connection.execute(
        f"CREATE OR REPLACE TABLE {TABLE} AS SELECT {', '.join([f'{TABLE}.*', *told])} FROM {TABLE} "
        f"LEFT JOIN ({_dates_sql(connection, cutoff, time_zone)}) AS dates USING (customer_id)"
    )


def _knows_joining(connection: duckdb.DuckDBPyConnection) -> bool:
    if CUSTOMERS.name not in tables_in(connection):
        return False
    return bool(connection.execute(f"SELECT count(joined_at) > 0 FROM {CUSTOMERS.name}").fetchall()[0][0])


def _dates_sql(connection: duckdb.DuckDBPyConnection, cutoff: Cutoff, time_zone: str) -> str:
    """Write each customer's day of birth, ``_born``, and of joining, ``_joined``; null where not known."""
    if CUSTOMERS.name not in tables_in(connection):
        return "SELECT NULL::VARCHAR AS customer_id, NULL::DATE AS _born, NULL::DATE AS _joined WHERE false"
    kind = attribute_kinds(connection).get(BIRTHDAY)
    text = {None: "NULL", Kind.TEXT: BIRTHDAY}.get(kind, f"CAST(TRY_CAST({BIRTHDAY} AS BIGINT) AS VARCHAR)")
    without_year = f"try_strptime('2000-' || ltrim({text}, '-'), '%Y-%m-%d')"
    written = f"coalesce(try_strptime({text}, '%Y%m%d'), {without_year})"
    is_dated = f"regexp_matches({text}, '^[-0-9]')"  # 'today' and 'infinity' are dates to the engine, too
    born = f"CASE WHEN {is_dated} THEN coalesce(try_cast({text} AS DATE), CAST({written} AS DATE)) END"
    day = local_day(f"(CASE WHEN joined_at < {cutoff.micros} THEN joined_at END)", time_zone)
    joined = f"DATE '1970-01-01' + CAST({day} AS INTEGER)"
    return (
        f"SELECT customer_id, CASE WHEN _day BETWEEN {LIVED} THEN _day END AS _born, _joined "
        f"FROM (SELECT customer_id, {born} AS _day, {joined} AS _joined FROM ({customers_at(cutoff)}))"
    )


def _birthday(connection: duckdb.DuckDBPyConnection, today: date) -> Iterator[str]:
    if BIRTHDAY in attribute_kinds(connection):
        yield from _return("birthday", _next("dates._born", today), today)


def _anniversary(
    connection: duckdb.DuckDBPyConnection, columns: Collection[str], today: date
) -> Iterator[str]:
    if "anniversary_years" in occasion_kinds(connection, columns):
        first_order = f"DATE '{today}' - CAST({TENURE} AS INTEGER)"
        start = f"coalesce(dates._joined, {first_order})" if TENURE in columns else "dates._joined"
        yield from _return("anniversary", _next(start, today), today)
        yield f"CAST(year({_next(start, today)}) - year({start}) AS DOUBLE) AS anniversary_years"


def _return(name: str, day: str, today: date) -> Iterator[str]:
    yield f"CAST({day} - DATE '{today}' AS DOUBLE) AS {name}_in_days"
    yield f"CAST({day} AS VARCHAR) AS {name}_on"


def _next(day: str, today: date) -> str:
    """Write the next return of a day of the year, today's too."""
    this, following = (
        f"CAST({day} + to_years({today.year + more} - year({day})) AS DATE)" for more in (0, 1)
    )
    return f"CASE WHEN {this} >= DATE '{today}' THEN {this} ELSE {following} END"


def _next_tier(
    connection: duckdb.DuckDBPyConnection, columns: Collection[str], policy: TierPolicy, cuts: Cuts
) -> Iterator[str]:
    if SPEND not in columns:
        return
    bars = _bars(connection, policy.levels, cuts)
    names, tiers, missing = policy.names, "", ""
    for place, name in enumerate(names):
        for better in range(place - 1, -1, -1):
            if (bar := bars[better]) is not None:
                when = f" WHEN value_tier = {literal(name)} AND {SPEND} < {literal(bar)}"
                tiers += f"{when} THEN {literal(names[better])}"
                missing += f"{when} THEN {literal(bar)} - {SPEND}"
    yield f"{f'CASE{tiers} END' if tiers else 'CAST(NULL AS VARCHAR)'} AS next_tier"
    yield f"{f'CASE{missing} END' if missing else 'CAST(NULL AS DOUBLE)'} AS next_tier_spend"


def _bars(
    connection: duckdb.DuckDBPyConnection, levels: Sequence[TierLevel], cuts: Cuts
) -> list[float | None]:
    """Return the spend that brings each tier, or is usual in it; null where spend is not what it asks for."""
    quantiles = ", ".join(
        f"quantile_cont({SPEND}, {LEAST}) FILTER (value_tier = {literal(level.name)})" for level in levels
    )
    (usual,) = connection.execute(f"SELECT {quantiles} FROM {TABLE}").fetchall()
    bars: list[float | None] = []
    for level, spent in zip(levels, usual, strict=True):
        asked = _asked(level.when.clause, cuts) if level.when else None
        reads = level.when.columns if level.when else ()
        by_value = any(name in VALUES or name.startswith("spend_") for name in reads)
        bars.append(asked if asked is not None else spent if by_value else None)
    return bars


def _asked(clause: Clause, cuts: Cuts) -> float | None:
    """Return the least spend that is enough for a condition; null where no spend alone is."""
    parts = clause.parts if isinstance(clause, Joined) and not clause.is_all else (clause,)
    demands = [demand for part in parts if (demand := part.demand(cuts, wanted=True))]
    points = [
        demand.point
        for demand in demands
        if isinstance(demand.value, Column) and demand.value.name == SPEND and demand.bound in {">=", ">"}
    ]
    return min((point for point in points if isinstance(point, float)), default=None)
