"""The simulated shop: a company whose customers' true behaviour is known, and the records it keeps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import gammaincc

from training import shop_files, shop_records
from training.shop_buyers import NEVER, TREATMENTS, Course, Integers, Lives, draw_customers, draw_truth

AHEAD = 30
"""Days simulated beyond the end, so that visits already rise before orders that lie beyond it."""


@dataclass(frozen=True, eq=False)
class Shop:
    """The records of a simulated shop in the canonical columns, and the truth behind them.

    All times are UTC, in whole seconds, before `end`; nothing that becomes known later is recorded.

    Parameters
    ----------
    start, end
        Midnight of the first day, and of the day after the last.
    orders
        One row per order line, refunds (``is_return`` 1, negative) among them. A refund of a whole order
        carries its number with a ``C`` before it; one of a single line has a number of its own (``R...``).
    customers
        One row per customer: ``joined_at``, region, age_group, acquisition, email_consent.
    interactions, feedback
        One row per event. ``resolved_at`` is null for a complaint not resolved by `end`.
    treatments
        One row per assignment; ``propensity`` is the probability of what was done.
    truth
        One row per customer: ``joined_day`` (from 0); ``rate_per_day`` of orders over a year's average;
        ``gap_shape``, the stages of the Erlang gaps (1: irregular); ``dropout_rate_per_day`` without
        complaint or treatment; ``dropped_out_at``, the day of leaving, null for those still there at
        `end`; the price level and shares behind amounts and events; ``..._factor``, by which a treatment
        multiplies the rate of orders (guide, coupon) or the hazard of leaving (care) while it acts.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    orders: pd.DataFrame
    customers: pd.DataFrame
    interactions: pd.DataFrame
    feedback: pd.DataFrame
    treatments: pd.DataFrame
    truth: pd.DataFrame

    def true_no_order(self, *, as_of: pd.Timestamp, horizon_days: int) -> pd.Series:
        """Give P(no order in the horizon) of everybody who joined before `as_of`, by their true state.

        The state is: still there or not, the last order, and the complaints and treatments so far. Exact
        for the process of orders if nothing further is done; it leaves aside treatments and complaints
        that begin in the horizon, and orders cancelled in full.

        Parameters
        ----------
        as_of
            A midnight, UTC.

        Returns
        -------
        One probability per ``customer_id`` (the index).
        """
        first = (as_of - self.start).days
        truth = self.truth[self.truth["joined_day"] < first].reset_index(drop=True)
        course = self._course(truth, as_of=as_of, days=first + horizon_days)
        here = ~(truth["dropped_out_at"] < as_of).to_numpy()
        gone = course.speed[:, here].cumsum(axis=0)
        began = self._last_orders(truth, as_of=as_of)[here]
        waited = gone[first - 1 :] - gone[began, np.arange(len(began))]
        shape = truth["gap_shape"].to_numpy()[here]
        waiting = gammaincc(shape, shape * waited)
        staying = np.exp(-course.risk[first:, here].cumsum(axis=0))
        no_order = np.ones(len(truth))
        no_order[here] -= (-np.diff(waiting, axis=0) * staying).sum(axis=0) / waiting[0]
        return pd.Series(no_order, index=pd.Index(truth["customer_id"]), name="no_order")

    def _course(self, truth: pd.DataFrame, *, as_of: pd.Timestamp, days: int) -> Course:
        course = Course(truth, pd.date_range(self.start, periods=days))
        ids = pd.Index(truth["customer_id"])
        given = self.treatments[
            (self.treatments["assigned_at"] < as_of) & (self.treatments["is_holdout"] == 0)
        ]
        assigned = self._day(given["assigned_at"]).to_numpy()
        for name, treatment in TREATMENTS.items():
            chosen = (given["treatment"] == name).to_numpy()
            for day in np.unique(assigned[chosen]).tolist():
                rows = ids.get_indexer(given["customer_id"][chosen & (assigned == day)])
                course.treat(treatment, day=day, rows=rows)
        told = self.feedback[(self.feedback["kind"] == "complaint") & (self.feedback["occurred_at"] < as_of)]
        rows = ids.get_indexer(told["customer_id"])
        resolved = self._day(told["resolved_at"]).fillna(NEVER).astype(int)
        course.complain(zip(rows, self._day(told["occurred_at"]), resolved, strict=True))
        return course

    def _last_orders(self, truth: pd.DataFrame, *, as_of: pd.Timestamp) -> Integers:
        """Tell the day of the last order before `as_of`, or of joining, of each customer."""
        bought = self.orders[(self.orders["is_return"] == 0) & (self.orders["ordered_at"] < as_of)]
        last = self._day(bought.groupby("customer_id")["ordered_at"].max())
        joined = truth.set_index("customer_id")["joined_day"]
        return last.reindex(joined.index).fillna(joined).to_numpy(dtype=np.int64)

    def _day(self, times: pd.Series) -> pd.Series:
        return (times - self.start).dt.days

    def write(self, folder: Path) -> dict[str, int]:
        """Write the records as files, with some known dirt, and a ``tierwise.toml`` that reads them.

        Returns
        -------
        How many rows of each kind of dirt were added to the records (never in place of any):
        ``rows_without_customer``, ``rows_in_two_files``, ``postage_lines`` among the orders,
        ``unparseable_times`` in feedback.csv.
        """
        orders, dirt = shop_files.soil_orders(self.orders)
        feedback = shop_files.soil_feedback(self.feedback)
        (folder / "orders").mkdir(parents=True, exist_ok=True)
        dirt["rows_in_two_files"] = shop_files.write_by_year(orders, folder / "orders")
        dirt["unparseable_times"] = len(feedback) - len(self.feedback)
        self.interactions.to_parquet(folder / "interactions.parquet", index=False)
        tables = {"customers": self.customers, "feedback": feedback, "treatments": self.treatments}
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        (folder / "tierwise.toml").write_text(shop_files.CONFIGURATION, encoding="utf-8")
        return dirt


def simulate_shop(
    *, customers: int = 5000, days: int = 1096, seed: int = 0, start: str = "2023-01-01"
) -> Shop:
    """Simulate a shop for some days from midnight (UTC) of `start`; the same seed gives the same shop.

    A third of the customers join in the first four months. Each buys at a rate, in gaps and at
    prices of their own until they leave; the year and the week have their seasons, complaints drive
    people away, and treatments are assigned at random among those they are intended for.
    """
    rng = np.random.default_rng(seed)
    begin = pd.Timestamp(start, tz="UTC")
    end = begin + pd.Timedelta(days=days)
    known = draw_customers(customers, days, rng)
    truth = draw_truth(known, rng)
    lives = Lives(truth, pd.date_range(begin, periods=days + AHEAD), rng)
    orders = shop_records.Orders.of(lives, rng)
    lines = shop_records.order_lines(orders, truth, rng)
    lines = pd.concat([lines, shop_records.refunds(lines, rng)])
    known.insert(1, "joined_at", known.pop("joined_day") * shop_records.SECONDS + shop_records.OPENING)
    truth["dropped_out_at"] = pd.Series(lives.left_ * float(shop_records.SECONDS)).mask(lives.left_ >= days)
    lived = days + AHEAD
    events = shop_records.interactions(orders, truth, lives.left_, days=lived, rng=rng)
    feedback = shop_records.feedback(orders, truth, lives, days=lived, rng=rng)
    return Shop(
        begin,
        end,
        orders=_recorded(lines, by="ordered_at", start=begin, end=end),
        customers=_recorded(known, by="joined_at", start=begin, end=end),
        interactions=_recorded(events, by="occurred_at", start=begin, end=end),
        feedback=_recorded(feedback, by="occurred_at", start=begin, end=end),
        treatments=_recorded(shop_records.treatments(truth, lives), by="assigned_at", start=begin, end=end),
        truth=_on_calendar(truth, begin),
    )


def _recorded(events: pd.DataFrame, *, by: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Keep what happened and was known before the end, in the order of time."""
    table = _on_calendar(events, start).sort_values(by, kind="stable", ignore_index=True)
    known = table["ingested_at"] if "ingested_at" in table else table[by]
    if "resolved_at" in table:
        table["resolved_at"] = table["resolved_at"].where(table["resolved_at"] < end)
    return table[known < end].reset_index(drop=True)


def _on_calendar(events: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """Turn the seconds since the start into times."""
    dated = events.copy()
    for column in [name for name in events.columns if str(name).endswith("_at")]:
        dated[column] = (start + pd.to_timedelta(events[column], unit="s")).dt.as_unit("us")
    return dated
