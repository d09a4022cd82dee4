"""The files of the simulated shop: its records as a company would deliver them, with known dirt."""

from pathlib import Path

import pandas as pd

CONFIGURATION = """\
# A simulated shop: every record is invented, and the true behaviour behind it is known.
[project]
name = "simulated shop"
currency = "EUR"
setting = "transactional"
workspace = ".tierwise"

# The files carry the canonical column names, so no columns need to be mapped. Times are UTC.
[sources.orders]
path = "orders/*.parquet"

[sources.orders.exclude]
product_id = ["POST"]  # postage is no product

[sources.customers]
path = "customers.csv"
fixed = ["region", "age_group", "acquisition"]  # attributes that never change, and so may be features

[sources.interactions]
path = "interactions.parquet"

[sources.feedback]
path = "feedback.csv"

[sources.treatments]
path = "treatments.csv"

[forecast]
horizon_days = 90
"""


def soil_orders(lines: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Add sales without a customer and postage to the order lines, and count both."""
    nobody = lines[::500].assign(customer_id=None, order_id=lambda t: "G" + t["order_id"])
    sales = lines[lines["is_return"] == 0].drop_duplicates("order_id")
    postage = sales[::20].assign(
        product_id="POST", category=None, quantity=1, unit_price=4.95, discount=0.0, amount=4.95, cost=3.5
    )
    soiled = pd.concat([lines, nobody, postage]).sort_values("ordered_at", kind="stable", ignore_index=True)
    return soiled, {"rows_without_customer": len(nobody), "postage_lines": len(postage)}


def soil_feedback(feedback: pd.DataFrame) -> pd.DataFrame:
    """Write the times out, and add three rows with a time that is none."""
    written = feedback.assign(occurred_at=feedback["occurred_at"].astype(str))
    return pd.concat([written, written[:3].assign(occurred_at="31/02/2024")])


def write_by_year(lines: pd.DataFrame, folder: Path, *, overlap: int = 20) -> int:
    """Write a Parquet file per year; each repeats the last lines of the one before. Count those."""
    repeated = 0
    before = lines[:0]
    for year, table in lines.groupby(lines["ordered_at"].dt.year):
        repeated += len(before)
        pd.concat([before, table]).to_parquet(folder / f"{year}.parquet", index=False)
        sound = table["customer_id"].notna() & (table["product_id"] != "POST")
        before = table[sound][-overlap:]
    return repeated
