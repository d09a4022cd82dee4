"""Contracts: how long a customer has been bound, until when, for which fee, and since when it changed."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from features.contract import CONTRACTS, DAY, SCALE, slug
from features.days import SUBJECT

OPEN = 2**62
"""The end of what has not ended."""
MONTH_DAYS = 365.25 / 12
"""Of a mean month."""
RUNS = "contract_runs"
"""The feature that tells whether a contract runs; null for a customer who never had one."""


def unbound_contracts() -> ir.Table:
    """Return the canonical ``contracts`` as an expression: one row per contract period."""
    return ibis.table({name: kind.ibis_type for name, kind in CONTRACTS.staged.items()}, name="contracts")


def periods(known: ir.Table) -> ir.Table:
    """Lay each subject's contract periods out in time, as known at `as_of`.

    Of rows with the same start and plan the one ingested last counts; different plans that start together
    are one period of both fees. An end at or after `as_of` is not known yet. A period without an end is
    replaced by the next one if its renewal is due by then, or it has none; otherwise both run.
    A contract is a chain of periods with gaps of at most a day: dates that include the last day leave one.

    Returns
    -------
    One row per subject and start, with the spine's ``as_of``: ``started_at``, ``until`` (`OPEN` while it
    runs), ``renews_at``, ``fee``, ``plan``; ``fee_before`` and ``is_last`` in order of the starts; and
    ``opens``: 1 where the period begins a contract rather than continues one.
    """
    end = (known.ended_at < known.as_of).ifelse(known.ended_at, None)
    of_plan = ibis.window(
        group_by=[SUBJECT, "started_at", "plan"],
        order_by=[
            ibis.desc("ingested_at"),
            *(ibis.desc(value.fill_null(-OPEN)) for value in (end, known.renews_at, known.fee)),
        ],
    )
    latest = known.mutate(place=ibis.row_number().over(of_plan)).filter(lambda t: t.place == 0)
    is_over = (latest.ended_at < latest.as_of).fill_null(False)
    starts = latest.group_by(SUBJECT, "started_at").aggregate(
        as_of=latest.as_of.max(),
        running=is_over.ifelse(0, 1).sum(),
        ended_at=is_over.ifelse(latest.ended_at, None).max(),
        renews_at=latest.renews_at.max(),
        fee=latest.fee.sum(),
        plan=latest["plan"].max(),
    )
    in_turn = ibis.window(group_by=SUBJECT, order_by="started_at")
    following = starts.mutate(
        next_at=starts.started_at.lead().over(in_turn), fee_before=starts.fee.lag().over(in_turn)
    )
    replaced = following.next_at.notnull() & (
        following.renews_at.isnull() | (following.next_at >= following.renews_at - DAY)
    )
    still = replaced.ifelse(following.next_at, OPEN)
    laid_out = following.mutate(
        is_last=following.next_at.isnull().ifelse(1, 0),
        until=(following.running == 0).ifelse(following.ended_at, still),
    )
    before = ibis.window(group_by=SUBJECT, order_by="started_at", preceding=(None, 1))
    bound_until = laid_out["until"].max().over(before)
    goes_on = (laid_out.started_at <= bound_until + DAY).fill_null(False)
    return laid_out.mutate(opens=goes_on.ifelse(0, 1))


def summary(known: ir.Table, plans: Sequence[str]) -> ir.Table:
    """Aggregate known contract periods: one row per subject with any; the latest contract is described."""
    laid_out = periods(known)
    begun = (laid_out.opens == 1).ifelse(laid_out.started_at, None).max().over(group_by=SUBJECT)
    rows = laid_out.mutate(begun_at=begun)
    runs, goes_on = rows["until"] >= rows.as_of - DAY, rows.opens == 0
    is_last = rows.is_last == 1
    changed = (goes_on & (rows.started_at > rows.begun_at) & (rows.fee != rows.fee_before)).fill_null(False)
    paid_days = (ibis.least(rows["until"], rows.as_of) - rows.started_at) // DAY
    return rows.group_by(SUBJECT).aggregate(
        _bound_until=rows["until"].max(),
        _begun_at=rows.begun_at.max(),
        _first_at=rows.started_at.min(),
        _contracts=rows.opens.sum(),
        contract_periods=(rows.started_at >= rows.begun_at).ifelse(1, 0).sum(),
        _fee=runs.ifelse(rows.fee, None).sum(),
        _fee_first=(rows.started_at == rows.begun_at).ifelse(rows.fee, None).max(),
        _fee_last=is_last.ifelse(rows.fee, None).max(),
        _fee_before=(is_last & goes_on).ifelse(rows.fee_before, None).max(),
        _fee_changed_at=changed.ifelse(rows.started_at, None).max(),
        _renewal=runs.ifelse(_until_renewal(rows), None).min(),
        _term=runs.ifelse(rows.renews_at - rows.started_at, None).min(),
        _paid_whole=(rows.fee // SCALE * paid_days).sum(),
        _paid_rest=(rows.fee % SCALE * paid_days).sum(),
        **{
            _of_plan(plan): (is_last & (rows["plan"] == plan)).fill_null(False).ifelse(1, 0).max()
            for plan in plans
        },
    )


def features(t: ir.Table, plans: Sequence[str], *, fee_days: float) -> dict[str, ir.Value]:
    """Derive the features of contracts.

    Returns
    -------
    Per customer and `as_of`: ``contract_runs`` (1, or 0 for who has left: a day has gone by without a
    contract), ``contract_lapsed`` (1 within that day), ``contract_age_days`` since the latest contract began,
    ``contract_periods`` in it, ``contracts_before`` it, ``contract_known_days`` since the first; ``fee`` of
    what runs (per `fee_days`), ``fee_change`` at the last period and ``fee_growth`` since the contract began
    (0.1 is a raise by a tenth), ``fee_changed_days_since``, ``fees_all`` so far; ``contract_renewal_days``
    until the next renewal and ``contract_term_days`` from the start of a period to its renewal;
    ``contract_plan_{plan}``: 1 for the plan of the last period. All are null without a contract, what is
    about fees also without a fee.
    """
    derived = {
        RUNS: (t._bound_until >= t.as_of - DAY).cast("int64"),
        "contract_lapsed": (t._bound_until < t.as_of).cast("int64"),
        "contract_age_days": (t.as_of - t._begun_at) // DAY,
        "contract_periods": t.contract_periods,
        "contracts_before": t._contracts - 1,
        "contract_known_days": (t.as_of - t._first_at) // DAY,
        "contract_renewal_days": t._renewal // DAY,
        "contract_term_days": t._term // DAY,
        "fee": t._fee.cast("float64") / SCALE,
        "fee_change": _growth(t._fee_before, t._fee_last),
        "fee_growth": _growth(t._fee_first, t._fee_last),
        "fee_changed_days_since": (t.as_of - t._fee_changed_at) // DAY,
        "fees_all": (t._paid_whole.cast("float64") + t._paid_rest.cast("float64") / SCALE) / fee_days,
    }
    return derived | {_of_plan(plan): t[_of_plan(plan)] for plan in plans}


def _until_renewal(rows: ir.Table) -> ir.IntegerValue:
    """Return the time until the next renewal; one that went by without a new period comes every term."""
    term = rows.renews_at - rows.started_at
    ahead = rows.renews_at - rows.as_of
    rolled = term - (rows.as_of - rows.renews_at) % term.nullif(0)
    return (ahead >= 0).ifelse(ahead, rolled)


def _growth(before: ir.IntegerValue, after: ir.IntegerValue) -> ir.FloatingValue:
    return after.cast("float64") / before.nullif(0) - 1.0


def _of_plan(plan: str) -> str:
    return f"contract_plan_{slug(plan)}"
