from pathlib import Path

import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.sources import CustomersSource, OrdersSource, Source, read_sources

ORDERS = "[sources.orders]\npath = 'o.csv'\n"


def read(tmp_path: Path, text: str) -> dict[str, Source]:
    (tmp_path / "tierwise.toml").write_text(text)
    return read_sources(Configuration.read(tmp_path / "tierwise.toml", environ={}))


def test_each_table_has_its_own_settings(tmp_path: Path) -> None:
    text = (
        f"[sources.customers]\npath = 'c.csv'\nfixed = ['country']\n{ORDERS}exclude.product_id = ['POST*']\n"
    )
    assert read(tmp_path, text) == {
        "orders": OrdersSource(path="o.csv", exclude={"product_id": ["POST*"]}, cancellation_prefix="C"),
        "customers": CustomersSource(path="c.csv", fixed=("country",)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"\[sources\.orders\] is missing"),
        ("[sources.order]\npath = 'o.csv'", r"no table \[sources\.order\]; did you mean 'orders'"),
        (ORDERS + "pth = 'x'", r"no key sources\.orders\.pth; did you mean 'path'"),
        (ORDERS + "decimal = ';'", r"sources\.orders\.decimal = ';' should be '\.' or ','"),
        (ORDERS + "exclude.product_id = []", r"sources\.orders\.exclude\.product_id"),
        (
            ORDERS + "[sources.feedback]\npath = 'f.csv'\nexclude.kind = ['x']",
            r"no key sources\.feedback\.exclude",
        ),
    ],
)
def test_a_wrong_source_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
