from pathlib import Path

from training.shop import simulate_shop


def configuration_text(*, horizon_days: int) -> str:
    """Return the configuration of a shop that knows its order lines alone."""
    return f"""\
[project]
name = "corner shop"
[sources.orders]
path = "orders.csv"
[forecast]
horizon_days = {horizon_days}
"""


def write_corner_shop(folder: Path, *, customers: int, days: int, horizon_days: int) -> Path:
    """Write the orders of a simulated shop and its configuration, and return the configuration's file."""
    simulate_shop(customers=customers, days=days).orders.to_csv(folder / "orders.csv", index=False)
    file = folder / "tierwise.toml"
    file.write_text(configuration_text(horizon_days=horizon_days))
    return file
