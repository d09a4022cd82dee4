from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import training
from features.configuration import Configuration
from features.errors import InputError
from features.instants import parse_as_of
from training.history import History
from training.train import train

FIRST_DAY = parse_as_of("2024-01-01")
AS_OF = FIRST_DAY + timedelta(days=75)
"""One snapshot before it is labelled: that of day 45."""
CUSTOMERS = range(80)
TOML = """
[sources.orders]
path = "orders.csv"
[sources.customers]
path = "customers.csv"
{more}
[forecast]
horizon_days = 30
clv_days = 30
tuning_minutes = 0.000001
{forecast}
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Configuration]:
    """A shop of eighty customers; every second one, who is loyal, orders again after day 45."""

    def write(more: str = "", forecast: str = "", **changed: str) -> Configuration:
        orders = [
            f"{customer},{FIRST_DAY + timedelta(days=day):%F},{10 + customer},{'' if day % 3 else 'web'}"
            for customer in CUSTOMERS
            for day in (customer % 20, 25 + customer % 15, *((50 + customer % 20,) if customer % 2 else ()))
        ]
        (tmp_path / "orders.csv").write_text("\n".join(["customer_id,ordered_at,amount,channel", *orders]))
        loyal = [f"{customer},{'yes' if customer % 2 else 'no'}" for customer in CUSTOMERS]
        (tmp_path / "customers.csv").write_text("\n".join(["customer_id,loyal", *loyal]))
        (tmp_path / "mine.py").write_text(
            "def web_lines(lines):\n    return (lines.channel == 'web').sum()\n"
        )
        (tmp_path / "tierwise.toml").write_text(TOML.format(more=more, forecast=forecast))
        return Configuration.read(tmp_path / "tierwise.toml", environ=changed)

    return write


def largest_order(days: Any) -> Any:
    return days.spend.max()


def test_a_bundle_carries_features_that_a_user_wrote(
    configured: Callable[..., Configuration], fill: Callable[..., None]
) -> None:
    more = '[features]\nmodule = "mine.py"\nsql.late_orders = "select count(*) from days where day > 19750"'
    configuration = configured(more)
    done = train(configuration, as_of=AS_OF, own=[largest_order])
    (configuration.folder / "mine.py").unlink()
    bundle = training.load(done.version.version, configuration=configuration.file)
    names = ["web_lines", "largest_order", "late_orders"]
    assert bundle.feature_names[-3:] == names
    with duckdb.connect() as connection:
        fill(
            connection, bundle.plan(), orders=[{"ordered_at": "2024-01-01", "amount": 12.5, "channel": "web"}]
        )
        history = History(connection, bundle.plan(), "UTC", days=(30,))
        assert history.snapshot(AS_OF)[names].iloc[0].to_list() == [1.0, 12.5, 0.0]
    assert [note for note in done.facts["notes"] if "1e-06 changed nothing: the history is too short" in note]


def test_a_feature_that_holds_the_outcome_stops_training(configured: Callable[..., Configuration]) -> None:
    with pytest.raises(
        InputError, match=r"feature 'customer_loyal' alone tells the outcome with an AUC of 1\.0"
    ):
        train(configured('fixed = ["loyal"]'), as_of=AS_OF)


def test_it_may_when_it_is_allowed(configured: Callable[..., Configuration]) -> None:
    allowed = configured('fixed = ["loyal"]', 'allow_features = ["customer_loyal"]')
    assert train(allowed, as_of=AS_OF).version.version == 1


def test_a_labelled_table_has_no_orders_to_make_features_of(configured: Callable[..., Configuration]) -> None:
    configuration = configured('[features]\nmodule = "mine.py"', TIERWISE_PROJECT__SETTING="labelled")
    with pytest.raises(InputError, match=r"own features are made of orders.*take \[features\] out"):
        train(configuration)
