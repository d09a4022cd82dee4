"""The backtest on public shops, default settings: what the model gains over every baseline, as Markdown."""

from pathlib import Path

from accuracy import CDNOW, NET, Case, shop
from public_data import data_folder

from features.forecast_settings import ForecastSettings
from features.instants import parse_as_of
from training.backtest_tables import Sheet, sheets
from training.rolling import judge
from training.train import Lesson

NO_GOODS = """
[sources.orders.exclude]
product_id = ["POST", "DOT", "C2", "D", "M", "BANK CHARGES", "ADJUST*", "AMAZONFEE", "CRUK", "PADS", "TEST*"]
"""
SHOPS = (
    Case("Online Retail II, net of refunds and fees", NET + NO_GOODS, parse_as_of("2011-12-10"), 90),
    Case("CDNOW", CDNOW, parse_as_of("1998-07-01"), 90),
)


def main() -> None:
    """Backtest every shop until the end of its data."""
    data = data_folder(__doc__, holds="online_retail_ii and cdnow")
    for case in SHOPS:
        report(case, data)


def report(case: Case, data: Path) -> None:
    """Print the tables of one shop."""
    with shop(case, data) as history:
        settings = ForecastSettings(horizon_days=case.horizon_days)
        done = judge(Lesson(history, settings, case.as_of), currency="")
    origins = ", ".join(f"{origin:%Y-%m-%d}" for origin in reversed(done.origins))
    print(f"### {case.title}: {case.horizon_days} days from {origins}\n")
    print(f"{done.everybody.customers:,} customers. Grade {done.grade.letter}: {done.grade.reason}.\n")
    print("\n".join(map(markdown, sheets(done))), flush=True)


def markdown(sheet: Sheet) -> str:
    """Lay a sheet out as a table."""
    lines = [sheet.columns, ("---", *("---:" for _ in sheet.columns[1:])), *sheet.rows]
    table = "\n".join(f"| {' | '.join(text.replace('|', '/') for text in line)} |" for line in lines)
    return f"{sheet.title}\n\n{table}\n\n{sheet.note}\n"


if __name__ == "__main__":
    main()
