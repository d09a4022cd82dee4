"""What the tiers are worth on public shops, default settings, beside what people grade customers by instead.

Each shop is trained at its `as_of` on what was known there, scored by the program as any shop is, and
compared with what its customers then did; nothing was tuned on that. Prints Markdown tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from accuracy import CDNOW, RETAIL, Case
from numpy.typing import NDArray
from public_data import data_folder

from features.batch import workplace
from features.configuration import Configuration
from features.contract import DAY, SCALE
from features.instants import micros, parse_as_of
from features.staging import stage
from models.bundle import Bundle
from serving.scoring import ScoringJob
from serving.store import Store
from training.metrics import gini
from training.train import registry_of, train

GRADED = Case("Online Retail II, positive lines", RETAIL, parse_as_of("2011-06-01"), 180)
CASES = (
    GRADED,
    Case("Online Retail II, positive lines", RETAIL, parse_as_of("2011-09-01"), 90),
    Case("CDNOW", CDNOW, parse_as_of("1998-04-01"), 90),
)
WEEKS, WEEK = 8, timedelta(days=7)
AFTER_DAYS, YEAR_DAYS = 90, 365
TOP_SHARE = 0.2
RESAMPLES = 1_000


@dataclass(frozen=True)
class Project:
    """A trained shop.

    Parameters
    ----------
    case
        Which.
    configuration, bundle, version
        As trained at the `as_of` of the case.
    """

    case: Case
    configuration: Configuration
    bundle: Bundle
    version: str

    @classmethod
    def train(cls, case: Case, folder: Path, data: Path) -> "Project":
        """Train a shop from its public files."""
        file = folder / "tierwise.toml"
        sources = case.sources.replace("DATA", str(data))
        file.write_text(f"{sources}\n[forecast]\nhorizon_days = {case.horizon_days}\n", encoding="utf-8")
        configuration = Configuration.read(file, environ={})
        version = train(configuration, as_of=case.as_of).version.version
        bundle = Bundle.read(registry_of(configuration).fetch(version))
        return cls(case, configuration, bundle, str(version))

    def runs(self, store: str, times: Sequence[datetime]) -> "list[Graded]":
        """Score the shop at each of these times, in order, into a store of its own."""
        folder = self.configuration.project.workspace
        with Store.open(folder / f"{store}.db") as opened:
            job = ScoringJob(self.configuration, self.bundle, self.version, opened)
            graded = []
            for time in times:
                run = job.run(as_of=time, allow_stale=True)
                table = pd.concat(batch.to_pandas() for batch in opened.scores(run.run_id))
                rows = table.set_index("customer_id")[["value_tier", "clv"]]
                graded.append(Graded(time, rows, opened.facts(run.run_id) or {}))
        return graded

    def bought(self, start: datetime, days: float) -> pd.DataFrame:
        """Sum by customer what was bought from a time on: ``revenue``, ``orders`` (days), ``last_day``."""
        end = start + timedelta(days=days)
        low, high = sorted((micros(start), micros(end)))
        with workplace(self.configuration.project.workspace) as connection:
            stage(self.configuration, connection)
            return (
                connection.execute(
                    f"SELECT customer_id, sum(amount) / {SCALE} AS revenue, count(DISTINCT day) AS orders, "
                    f"max(ordered_at) // {DAY} AS last_day FROM orders "
                    f"WHERE ordered_at >= {low} AND ordered_at < {high} GROUP BY customer_id"
                )
                .df()
                .set_index("customer_id")
            )


@dataclass(frozen=True)
class Graded:
    """A run: its time, ``value_tier`` and ``clv`` by customer_id, and its facts."""

    as_of: datetime
    rows: pd.DataFrame
    facts: Mapping[str, dict[str, object]]

    @property
    def tiers(self) -> pd.Series:
        """The tier by customer_id."""
        return self.rows["value_tier"]

    @property
    def names(self) -> list[str]:
        """All tiers, best first."""
        return [level["name"] for level in self.facts["placement"]["policy"]["levels"]]  # type: ignore[index]


def main() -> None:
    """Report every shop."""
    data = data_folder(__doc__, holds="online_retail_ii and cdnow")
    for case in CASES:
        with TemporaryDirectory() as folder:
            project = Project.train(case, Path(folder), data)
            print(f"### {case.title}, as of {case.as_of:%Y-%m-%d}, {case.horizon_days} days\n")
            if case is GRADED:
                print(worth(project))
                print(steadiness(project))
            print(expectation(project), flush=True)


def worth(project: Project) -> str:
    """Tell what customers of each tier brought, and who finds those who bring most."""
    case = project.case
    (run,) = project.runs("worth", [case.as_of])
    later = project.bought(case.as_of, case.horizon_days).reindex(run.rows.index).fillna(0.0)
    year = project.bought(case.as_of, -YEAR_DAYS).reindex(run.rows.index).fillna(0.0)
    ever = project.bought(case.as_of, -100 * YEAR_DAYS).reindex(run.rows.index).fillna(0.0)
    revenue, spent = later["revenue"].to_numpy(), best(year["revenue"].to_numpy())
    found = {
        f"the tier {run.names[0]}": run.tiers.to_numpy() == run.names[0],
        "top 20% by clv": best(run.rows["clv"].to_numpy()),
        "top 20% by last year's spend": spent,
        "top 20% by RFM quintiles of all time": best(rfm(ever)),
        "top 20% by RFM quintiles of last year": best(rfm(year)),
        "top 20% by a perfect forecast": best(revenue),
    }
    shares = [
        (
            who,
            f"{chosen.mean():.1%}",
            f"{revenue[chosen].sum() / revenue.sum():.1%}",
            beyond(revenue, chosen, spent),
        )
        for who, chosen in found.items()
    ]
    by_tier = (
        later.assign(came=later["orders"] > 0)
        .groupby(run.tiers)
        .agg(customers=("came", "size"), revenue=("revenue", "mean"), repurchase=("came", "mean"))
    )
    rows = [
        (
            tier,
            f"{row.customers:,.0f}",
            f"{row.revenue:,.0f}",
            f"{row.repurchase:.1%}",
            f"{1 - row.repurchase:.1%}",
        )
        for tier, row in by_tier.loc[run.names].iterrows()
    ]
    held = markdown(("who", "of the customers", "of the next revenue", "beyond last year's spend"), shares)
    fared = markdown(("tier", "customers", "revenue per customer", "repurchase rate", "churn"), rows)
    return f"{held}\n{fared}"


def best(score: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell who is in the fifth with the highest score."""
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[: round(TOP_SHARE * len(score))]] = True
    return chosen


def beyond(revenue: NDArray[np.float64], chosen: NDArray[np.bool_], other: NDArray[np.bool_]) -> str:
    """Tell by how much more of the revenue one choice holds, with half its 95% interval by customer."""
    drawn = np.random.default_rng(0).poisson(1.0, (RESAMPLES, len(revenue)))
    more = drawn @ (revenue * (chosen.astype(float) - other)) / (drawn @ revenue)
    told = float((revenue[chosen].sum() - revenue[other].sum()) / revenue.sum())
    return f"{100 * told:+.1f} ± {100 * 1.96 * float(more.std()):.1f} points"


def rfm(bought: pd.DataFrame) -> NDArray[np.float64]:
    """Score from 3 to 15 by quintiles of recency, frequency and spend; of equals who spent more is ahead."""
    fifths = [
        np.ceil(bought[name].rank(method="first", pct=True) * 5) for name in ("last_day", "orders", "revenue")
    ]
    return np.asarray(sum(fifths) + bought["revenue"].rank(pct=True) / 2, dtype=float)


def steadiness(project: Project) -> str:
    """Tell how many move in a week, and what steady tiers cost in telling the next revenue."""
    times = [project.case.as_of + WEEK * week for week in range(WEEKS)]
    runs = project.runs("weekly", times)
    moved = [
        float((before.tiers != now.tiers.reindex(before.tiers.index)).mean())
        for before, now in pairwise(runs)
    ]
    (fresh,) = project.runs("fresh", times[-1:])
    later = project.bought(times[-1], AFTER_DAYS).reindex(fresh.rows.index).fillna(0.0)["revenue"].to_numpy()
    told = [gini(later, -run.tiers.map(run.names.index).to_numpy(dtype=float)) for run in (runs[-1], fresh)]
    other = float((runs[-1].tiers != fresh.tiers).mean())
    return markdown(
        ("what", "figure"),
        [
            ("move in the first week", f"{moved[0]:.2%}"),
            (f"move in a week, the most of {len(moved)}", f"{max(moved):.2%}"),
            (f"in another tier after {WEEKS} weekly runs than without hysteresis", f"{other:.1%}"),
            (f"Gini of the revenue of the next {AFTER_DAYS} days, with hysteresis", f"{told[0]:.4f}"),
            ("without", f"{told[1]:.4f}"),
        ],
    )


def expectation(project: Project) -> str:
    """Compare the expected moves of a horizon with those that came, and with those of the period before."""
    case = project.case
    horizon = timedelta(days=case.horizon_days)
    before, now, then = project.runs("moves", [case.as_of - horizon, case.as_of, case.as_of + horizon])
    names = now.names
    past, came = matrix(before.tiers, now.tiers, names), matrix(now.tiers, then.tiers, names)
    expected = np.array(now.facts["expected_transitions"]["rows"], dtype=float)
    rows = [
        (
            tier,
            *(f"{came_:.1%} ({told_:.1%}, {past_:.1%})" for came_, told_, past_ in zip(*cells, strict=True)),
        )
        for tier, *cells in zip(names, shares(came), shares(expected), shares(past), strict=True)
    ]
    rate = {tier: row[0] for tier, row in zip(names, shares(came), strict=True)}
    return (
        f"{markdown(('of tier', *names), rows)}\n"
        "Moves that came (expected, those of the period before). Mean distance of the cells: expected "
        f"{distance(expected, came):.4f}, the period before {distance(past, came):.4f}. Potential customers "
        f"turned high at {rate['potential'] / rate['ordinary']:.1f} x the rate of ordinary ones.\n"
    )


def matrix(before: pd.Series, now: pd.Series, names: Sequence[str]) -> NDArray[np.float64]:
    """Count who went where, of those who stood somewhere before."""
    counts = pd.crosstab(before, now.reindex(before.index))
    return counts.reindex(index=names, columns=names, fill_value=0).to_numpy(dtype=float)


def shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts as shares of their rows."""
    return counts / counts.sum(axis=1, keepdims=True)


def distance(told: NDArray[np.float64], came: NDArray[np.float64]) -> float:
    """Return the mean absolute difference of the cells, as shares of their rows, weighted by these."""
    apart = np.abs(shares(told) - shares(came)).mean(axis=1)
    return float(np.average(apart, weights=came.sum(axis=1)))


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as a table."""
    lines = [columns, ("---", *("---:" for _ in columns[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
