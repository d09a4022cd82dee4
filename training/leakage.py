"""Guards against knowing the future: what a feature sees, and what it tells suspiciously well."""

import difflib
import re
from collections.abc import Callable, Collection
from datetime import datetime

import duckdb
import numpy as np
import pandas as pd
from sklearn.base import clone

from features.contract import DAY, ORDERS, TABLES
from features.errors import InputError
from features.instants import Cutoff
from features.parsing import identifier
from features.plan import FeaturePlan
from models.estimator import ForecastEstimator
from models.likelihood import Vector
from training import metrics
from training.sample import Sample, differing

SUSPICIOUS = 0.95
"""No single feature tells an outcome so well (as the area under the curve) unless it holds the outcome."""
MOST_ROWS = 20_000
"""Labelled rows that are looked at."""
FEWEST = 30
"""Rows of either outcome below which chance alone makes such features."""
RECENT = re.compile(
    r"recency_\w+|overdue_\w+|\w+_days_since|\w+_\d+d(_of_\d+d)?|\w+_slope_360d|months_active_360d|gap_last_ratio"
    r"|orders_per_month|spend_order_trend|as_of_\w+|process_\w+|contract_renewal_days|contract_lapsed"
)
"""What follows from how lately a customer was active, or when a contract is up: where most have lapsed, it
is honestly that good."""
ATTRIBUTE = "customer_"
"""Before the name of an attribute of a customer: whatever it is called, nobody knows how it came about."""
AHEAD = ("resolved_at", "ended_at")
"""Times that are not known before they have come."""


def check_no_future(
    connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, *, as_of: datetime, time_zone: str = "UTC"
) -> None:
    """Change the future of some customers, and see whether a feature notices.

    For up to 50 customers, all that happened at or after `as_of` or was ingested later is deleted, then
    changed; then what they had done before is added again as events after `as_of`, as records that came in
    late, and as refunds. The staged tables stay as they are.

    Parameters
    ----------
    connection
        With the staged tables.
    plan
        The features, a user's own among them.

    Raises
    ------
    InputError
        A feature changed.
    """
    cutoff = Cutoff.at(as_of, time_zone)
    with Sample.of(connection, plan, cutoff) as sample:
        known = sample.features()
        for deed, poison in POISONS.items():
            sample.connection.execute("BEGIN")
            for table in sample.tables:
                poison(sample, table)
            found = differing(known, sample.features())
            sample.connection.execute("ROLLBACK")
            if found:
                name, customer, count = found
                raise InputError(
                    f"feature {name!r} knows the future: {deed} what became known only after "
                    f"{as_of:%Y-%m-%d} changes it for {count} of {len(known[name])} customers (one is "
                    f"{customer!r}); let it read nothing but the rows that it is given"
                )


def check_engines_agree(
    connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, *, as_of: datetime, time_zone: str = "UTC"
) -> None:
    """Make the features of some customers by night and live, and see whether they are the same.

    Raises
    ------
    InputError
        A feature differs between DuckDB and SQLite by more than a relative 1e-9.
    """
    with Sample.of(connection, plan, Cutoff.at(as_of, time_zone)) as sample:
        batch, live = sample.features(), sample.live_features()
    found = differing(batch, live)
    if found:
        name, customer, _ = found
        raise InputError(
            f"feature {name!r} of customer {customer!r} is {batch[name][customer]:g} on DuckDB and "
            f"{live[name][customer]:g} on SQLite, which answers live requests; write it with sums, "
            "counts, means, minima and maxima of conditions"
        )


def check_single_features(
    frame: pd.DataFrame, came: Vector, *, allowed: Collection[str] = (), own: Collection[str] = ()
) -> None:
    """Refuse a feature that alone tells the outcome, as none does that was known before it.

    Parameters
    ----------
    frame
        The features of labelled rows.
    came
        Whether the outcome came (1 or 0), NaN where it is not known, of the same length.
    allowed
        Features that may; those of `RECENT` always may, unless they are a user's.
    own
        Features that a user wrote. Attributes (``customer_...``) are a user's as well.

    Raises
    ------
    InputError
        A feature's area under the curve, in either direction, is above 0.95; or an allowed one is not there.
    """
    for name in allowed:
        if name not in frame.columns:
            near = difflib.get_close_matches(name, map(str, frame.columns), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "take it out"
            raise InputError(f"forecast.allow_features: there is no feature {name!r}; {hint}")
    known = np.flatnonzero(~np.isnan(came))
    chosen = known[np.linspace(0, len(known) - 1, min(len(known), MOST_ROWS)).astype(int)]
    outcome = came[chosen]
    if min(outcome.sum(), (1.0 - outcome).sum()) < FEWEST:
        return
    for name in map(str, frame.columns):
        is_users = name in own or name.startswith(ATTRIBUTE)
        if name in allowed or (RECENT.fullmatch(name) and not is_users):
            continue
        area = _area(frame[name].to_numpy(dtype=float)[chosen], outcome)
        if area > SUSPICIOUS:
            raise InputError(
                f"feature {name!r} alone tells the outcome with an AUC of {area:.3f}, so it most likely "
                "holds what became known only afterwards; leave it out (a column of customers with "
                "sources.customers.left_out), or if it was known in time, set "
                f'forecast.allow_features = ["{name}"]'
            )


def shuffled_area(
    recipe: ForecastEstimator, frame: pd.DataFrame, labels: pd.DataFrame, truth: pd.Series, *, seed: int = 0
) -> float | None:
    """Teach a forecaster other customers' labels, and return how well it tells other customers' outcomes.

    Away from one half by more than chance, the outcome has a way around the features.

    Parameters
    ----------
    frame, labels
        A lesson; labels are exchanged within each snapshot.
    truth
        Orders in the horizon of the rows of the latest snapshot.
    """
    rng = np.random.default_rng(seed)
    exchanged = labels.copy()
    for rows in frame.groupby("as_of_day").indices.values():
        exchanged.iloc[rows] = labels.iloc[rng.permutation(rows)].to_numpy()
    fitted = clone(recipe).fit(frame, exchanged)
    present = frame[frame["as_of_day"] == frame["as_of_day"].max()]
    risk = fitted.predict(present)["churn_risk"].to_numpy()
    return metrics.auc(rng.permutation(truth.to_numpy() == 0).astype(float), risk)


def _area(values: Vector, outcome: Vector) -> float:
    """Return the area under the curve in the better direction, the null rows at the better end."""
    areas = [
        metrics.auc(outcome, np.where(np.isnan(values), end, values)) or 0.0 for end in (-np.inf, np.inf)
    ]
    return max(*areas, *(1.0 - area for area in areas))


def _unknown(sample: Sample, table: str) -> str:
    clock = TABLES[table].clock
    if clock is None:
        return f"valid_from >= {sample.cutoff.micros}"
    return f"({clock} >= {sample.cutoff.micros} OR ingested_at > {sample.cutoff.micros})"


def _delete(sample: Sample, table: str) -> None:
    sample.connection.execute(f"DELETE FROM {table} WHERE {_unknown(sample, table)}")
    _move_ends(sample, table, "NULL")


def _change(sample: Sample, table: str) -> None:
    """Change every value of unknown rows but whose and when they are."""
    kept = {"customer_id", "ingested_at", "valid_from", "day", "line", TABLES[table].clock}
    changes = []
    for name, kind, *_ in sample.connection.execute(f"DESCRIBE {table}").fetchall():
        column = identifier(name)
        if name not in kept:
            changes.append(f"{column} = {column} || '!'" if kind == "VARCHAR" else f"{column} = 1 - {column}")
    if changes:
        sample.connection.execute(f"UPDATE {table} SET {', '.join(changes)} WHERE {_unknown(sample, table)}")
    _move_ends(sample, table, f"coalesce(%s, {sample.cutoff.micros}) + {7 * DAY}")


def _move_ends(sample: Sample, table: str, to: str) -> None:
    for end in AHEAD:
        if end in TABLES[table].columns:
            sample.connection.execute(
                f"UPDATE {table} SET {end} = {to.replace('%s', end)} WHERE {end} >= {sample.cutoff.micros}"
            )


def _add(sample: Sample, table: str) -> None:
    """Repeat what was known as events after the cutoff, and as records of before it that come in late."""
    clock, cutoff = TABLES[table].clock, sample.cutoff
    if clock is None:
        _insert(sample, table, {"valid_from": str(cutoff.micros + DAY)})
        return
    late = {"ingested_at": str(cutoff.micros + 1)}
    later = {clock: str(cutoff.micros), "ingested_at": str(cutoff.micros)}
    if "day" in TABLES[table].staged:
        later["day"] = str(cutoff.day)
    back = {"amount": "-abs(amount)", "quantity": "-abs(quantity)", "is_return": "1"}
    for change in (late, later, *([later | back, late | back] if table == ORDERS.name else [])):
        _insert(sample, table, change)


def _insert(sample: Sample, table: str, change: dict[str, str]) -> None:
    if "line" in TABLES[table].staged:
        change = change | {"line": f"line + (SELECT max(line) FROM {table})"}
    replaced = ", ".join(f"{value} AS {column}" for column, value in change.items())
    known = f"NOT coalesce({_unknown(sample, table)}, FALSE)"
    sample.connection.execute(f"INSERT INTO {table} SELECT * REPLACE ({replaced}) FROM {table} WHERE {known}")


POISONS: dict[str, Callable[[Sample, str], None]] = {
    "deleting": _delete,
    "changing": _change,
    "adding to": _add,
}
