"""Life cycle, loyalty and base customers where contracts run: each defined once, in words and in SQL.

The SQL reads the columns of one customer and runs on SQLite and DuckDB alike. Who is at risk is told by
rank among the customers whose contract runs. Everything counts at `as_of`.
"""

import duckdb

from models.cuts import Cuts

YEAR = 365
RISKS = {"lapsing_from": 0.9, "loyal_below": 0.5, "base_below": 1 / 3}
"""Cut points of churn_risk, by the share of running contracts whose risk is below."""


def measure(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, float | None]:
    """Measure the cut points of `RISKS` among the customers of a table whose contract runs; null without."""
    quantiles = ", ".join(f"quantile_cont(churn_risk, {share})" for share in RISKS.values())
    found = connection.execute(f"SELECT {quantiles} FROM {source} WHERE contract_runs = 1").fetchall()
    return dict(zip(RISKS, found[0], strict=True))


def stage_sql(cuts: Cuts, *, horizon_days: int) -> str:
    """Write the life cycle's stage of a customer; the first that fits (``repeat`` knows only the shop).

    - ``prospect``: known, and never a contract.
    - ``lost``: the contract has ended, and no other runs.
    - ``lapsing``: it has ended within a day, or is among the tenth of those that run likeliest to end.
    - ``won_back``: an earlier contract had ended, and this one is no older than the horizon.
    - ``first_time``: the first contract, no older than the horizon.
    - ``established``: any older one.
    """
    return (
        "CASE WHEN \"contract_runs\" IS NULL THEN 'prospect' WHEN \"contract_runs\" = 0 THEN 'lost' "
        f"WHEN {_is_lapsing(cuts)} THEN 'lapsing' "
        f"WHEN \"contract_age_days\" > {horizon_days} THEN 'established' "
        "WHEN \"contracts_before\" > 0 THEN 'won_back' ELSE 'first_time' END"
    )


def loyalty_sql(cuts: Cuts, *, horizon_days: int) -> str:
    """Write the loyalty of a customer; the first that fits, null for a prospect.

    - ``at_risk``: lapsing or lost.
    - ``loyal``: established, and among the half of those whose contract runs least likely to leave.
    - ``regular``: everyone else with a contract.
    """
    return (
        'CASE WHEN "contract_runs" IS NULL THEN NULL '
        f"WHEN \"contract_runs\" = 0 OR {_is_lapsing(cuts)} THEN 'at_risk' "
        f"WHEN {_is_loyal(cuts, horizon_days)} THEN 'loyal' ELSE 'regular' END"
    )


def base_sql(cuts: Cuts, *, horizon_days: int) -> str:
    """Write whether somebody is a base customer: 1 or 0.

    A base customer is loyal; long-standing and steady: one contract without a break for at least a year;
    and among the third of those whose contract runs least likely to leave.
    """
    return (
        f'CASE WHEN "contract_runs" = 1 AND NOT {_is_lapsing(cuts)} AND {_is_loyal(cuts, horizon_days)} '
        f'AND "contract_age_days" >= {YEAR} AND {_below(cuts, "base_below")} THEN 1 ELSE 0 END'
    )


def _is_lapsing(cuts: Cuts) -> str:
    return f'("contract_lapsed" = 1 OR coalesce("churn_risk" >= {_cut(cuts, "lapsing_from")}, 1 = 0))'


def _is_loyal(cuts: Cuts, horizon_days: int) -> str:
    return f'("contract_age_days" > {horizon_days} AND {_below(cuts, "loyal_below")})'


def _below(cuts: Cuts, name: str) -> str:
    return f'"churn_risk" < {_cut(cuts, name)}'


def _cut(cuts: Cuts, name: str) -> str:
    cut = cuts.get(name)
    return "NULL" if cut is None else repr(float(cut))
