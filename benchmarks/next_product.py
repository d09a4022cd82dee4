"""How often the next product is told right on a public shop, beside what is popular and what was bought.

Products are ranked by what was known at each origin, and judged by the next order within 90 days. The
constants of the ranking were chosen at origins before April 2011. Prints a Markdown table.
"""

import time

import pandas as pd
from accuracy import NET, TRUTH, Case, shop
from public_data import data_folder

from features.instants import parse_as_of
from training.history import History
from training.recommending import judge_next_products, recalls

ORIGINS = ("2011-05-01", "2011-07-01", "2011-09-01", "2011-11-01")
CASE = Case("Online Retail II, net of refunds", NET, parse_as_of("2011-09-01"), 90)


def main() -> None:
    """Judge the rankings at every origin, and over all."""
    data = data_folder(__doc__, holds="online_retail_ii and cdnow")
    print("| origin | products | orders | ranking | recall@10 | next product is better by |")
    print("| --- | --- | ---: | --- | ---: | ---: |")
    with shop(CASE, data) as history:
        start = time.process_time()
        parts = [judged(history, origin) for origin in ORIGINS]
        seconds = time.process_time() - start
    report("all", pd.concat(parts))
    print(
        f"\n{seconds / len(ORIGINS):.0f} seconds of processor time per origin, with the truth and the rivals"
    )


def judged(history: History, origin: str) -> pd.DataFrame:
    """Judge the rankings at an origin, and print its rows."""
    rows = judge_next_products(
        history.connection,
        history.plan,
        origins=[parse_as_of(origin)],
        time_zone=history.time_zone,
        horizon_days=CASE.horizon_days,
        known_by=TRUTH,
    )
    report(origin, rows)
    return rows


def report(about: str, rows: pd.DataFrame) -> None:
    """Print the rows of one origin, or of all."""
    for row in recalls(rows).sort_values(["only_new", "recall"], ascending=[True, False]).itertuples():
        which = "new to the customer" if row.only_new else "all"
        better = f"{row.gain:+.4f} ({row.gain_low:+.4f} to {row.gain_high:+.4f})" if row.gain else ""
        print(
            f"| {about} | {which} | {row.orders:,} | {row.ranking} | "
            f"{row.recall:.4f} ({row.low:.4f} to {row.high:.4f}) | {better} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
