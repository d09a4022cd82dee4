"""The simulated subscription business: its records, and the truth about when its contracts end."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from training.subscribers import NEVER, TERMS, Subscribers

PLANS = np.array(["monthly", "yearly"])
CONFIGURATION = """\
# A simulated subscription business: every record is invented, and the true behaviour behind it is known.
[project]
name = "simulated subscriptions"
currency = "EUR"
setting = "contractual"
workspace = ".tierwise"

[sources.contracts]
path = "contracts.parquet"
fee_per = "month"

[sources.interactions]
path = "interactions.parquet"

[sources.feedback]
path = "feedback.csv"

[forecast]
horizon_days = 90
"""


@dataclass(frozen=True, eq=False)
class Subscriptions:
    """The records of a simulated business in the canonical columns, all before `end`; times are UTC.

    Parameters
    ----------
    start, end
        Midnight of the first day, and of the day after the last.
    contracts
        One row per contract period: ``started_at``, ``ended_at`` (null while it runs), ``renews_at``, the
        ``fee`` per month, and the ``plan``.
    interactions, feedback
        One row per login, and per complaint.
    customers, seed
        What it was simulated from.
    """

    start: pd.Timestamp
    end: pd.Timestamp
    contracts: pd.DataFrame
    interactions: pd.DataFrame
    feedback: pd.DataFrame
    customers: int
    seed: int

    def true_risk(self, *, as_of: pd.Timestamp, horizon_days: int, draws: int = 100) -> pd.Series:
        """Estimate P(the contract ends in the horizon) of those whose contract runs, by their true state.

        Parameters
        ----------
        as_of
            A midnight, UTC.
        draws
            Futures drawn for each.

        Returns
        -------
        One chance per ``customer_id`` (the index).
        """
        rng = np.random.default_rng(self.seed)
        state = Subscribers.draw(self.customers, days=(self.end - self.start).days, rng=rng)
        first = (as_of - self.start).days
        for day in range(first):
            state.live(day, rng)
        here = state.here(first - 1)
        futures = state.copies(here, draws)
        for day in range(first, first + horizon_days):
            futures.live(day, rng)
        ended = (futures.left != NEVER).reshape(-1, draws).mean(axis=1)
        return pd.Series(ended, index=pd.Index(_names(np.flatnonzero(here)), name="customer_id"))

    def write(self, folder: Path) -> None:
        """Write the records as files, and a ``tierwise.toml`` that reads them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.contracts.to_parquet(folder / "contracts.parquet", index=False)
        self.interactions.to_parquet(folder / "interactions.parquet", index=False)
        self.feedback.to_csv(folder / "feedback.csv", index=False, lineterminator="\n")
        (folder / "tierwise.toml").write_text(CONFIGURATION, encoding="utf-8")


def simulate_subscriptions(
    *, customers: int = 4000, days: int = 1096, seed: int = 0, start: str = "2023-01-01"
) -> Subscriptions:
    """Simulate some days from midnight (UTC) of `start`; the same seed gives the same business.

    Each customer has a chance to leave of his own (a beta), mostly at renewals, of a monthly or a yearly
    plan; it is higher after complaints, after a raise of the fee, and while the service is hardly used.
    """
    rng = np.random.default_rng(seed)
    begin = pd.Timestamp(start, tz="UTC")
    state = Subscribers.draw(customers, days=days, rng=rng)
    periods, logins, complaints = [], [], []
    for day in range(days):
        lived = state.live(day, rng)
        who = np.flatnonzero(lived.renewed)
        periods.append(pd.DataFrame({"who": who, "day": day, "fee": state.fee[who]}))
        who = np.flatnonzero(lived.logins)
        logins.append(pd.DataFrame({"who": np.repeat(who, lived.logins[who]), "day": day}))
        complaints.append(pd.DataFrame({"who": np.flatnonzero(lived.complained), "day": day}))
    contracts = _contracts(pd.concat(periods), state, begin)
    return Subscriptions(
        begin,
        begin + pd.Timedelta(days=days),
        contracts=contracts,
        interactions=_events(pd.concat(logins), begin).assign(kind="login"),
        feedback=_events(pd.concat(complaints), begin).assign(kind="complaint"),
        customers=customers,
        seed=seed,
    )


def _contracts(periods: pd.DataFrame, state: Subscribers, start: pd.Timestamp) -> pd.DataFrame:
    """Give each period its end: the start of the next, or the day of leaving."""
    periods = periods.sort_values(["who", "day"], ignore_index=True)
    who = periods["who"].to_numpy()
    left = pd.Series(state.left[who]).where(state.left[who] != NEVER)
    ended = periods.groupby("who")["day"].shift(-1).fillna(left)
    return pd.DataFrame(
        {
            "customer_id": _names(who),
            "started_at": _times(periods["day"], start),
            "ended_at": _times(ended, start),
            "renews_at": _times(periods["day"] + TERMS[state.plan[who]], start),
            "fee": periods["fee"],
            "plan": PLANS[state.plan[who]],
        }
    )


def _events(events: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
    """Let events happen at noon."""
    at = _times(events["day"], start) + pd.Timedelta(hours=12)
    return pd.DataFrame({"customer_id": _names(events["who"].to_numpy()), "occurred_at": at.to_numpy()})


def _names(numbers: np.ndarray) -> list[str]:
    return [f"s{number:05d}" for number in numbers.tolist()]


def _times(days: pd.Series, start: pd.Timestamp) -> pd.Series:
    return (start + pd.to_timedelta(days, unit="D")).dt.as_unit("us")
