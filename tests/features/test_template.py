import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.configuration import Configuration, Project
from features.errors import InputError
from features.forecast_settings import ForecastSettings
from features.own_sources import OwnSettings
from features.sources import CustomersSource, OrdersSource, read_sources
from features.template import write_template
from features.tier_settings import FairnessSettings, TierSettings
from features.treatment_settings import Cadence, PlanSettings, TreatmentSettings, read_treatments
from serving.settings import ServingSettings

RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii"


def orders_of(folder: Path, *files: Path) -> dict[str, Any]:
    """Write a template, hold it to be valid, and return what it says of the orders."""
    file = write_template(folder, files)
    read_sources(Configuration.read(file, environ={}))
    orders: dict[str, Any] = tomllib.loads(file.read_text())["sources"]["orders"]
    return orders


def write(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_text(text, encoding)
    return file


@pytest.mark.skipif(not RETAIL.exists(), reason="the data set Online Retail II is not beside the project")
def test_the_columns_of_online_retail_are_guessed(tmp_path: Path) -> None:
    orders = orders_of(tmp_path, *RETAIL.glob("*.parquet"))
    assert orders.pop("path").endswith("online_retail_ii/*.parquet")
    assert orders == {
        "columns": {
            "customer_id": "Customer ID",
            "ordered_at": "InvoiceDate",
            "quantity": "Quantity",
            "unit_price": "Price",
            "order_id": "Invoice",
            "product_id": "StockCode",
        }
    }
    assert "?" not in (tmp_path / "tierwise.toml").read_text().partition("[sources.orders]")[2]


def test_a_file_like_cdnow_needs_its_time_format(tmp_path: Path) -> None:
    file = write(
        tmp_path / "cdnow.csv", "customer,date,CDs,USD\n00001,19970101,1,11.77\n00002,19970112,5,77.00\n"
    )
    assert orders_of(tmp_path, file) == {
        "path": "cdnow.csv",
        "time_format": "%Y%m%d",
        "columns": {"customer_id": "customer", "ordered_at": "date", "amount": "USD", "quantity": "CDs"},
    }


CHINESE = "客户编号,下单时间,金额,数量,单价,订单号,商品编号\n甲,2024-03-01 10:00:00,59.8,2,29.9,D1,P7\n"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_chinese_names_and_their_encoding_are_known(tmp_path: Path, encoding: str) -> None:
    orders = orders_of(tmp_path, write(tmp_path / "订单.csv", CHINESE, encoding))
    assert orders.get("encoding", "utf-8") == encoding
    assert orders["path"] == "订单.csv"
    assert orders["columns"] == {
        "customer_id": "客户编号",
        "ordered_at": "下单时间",
        "amount": "金额",
        "quantity": "数量",
        "unit_price": "单价",
        "order_id": "订单号",
        "product_id": "商品编号",
    }


def test_western_letters_are_no_chinese_and_a_decimal_comma_is_seen(tmp_path: Path) -> None:
    text = "Client;Date;Montant;Amount;Qty\nRené;13.02.2024;née;1.200,50;2\nZoé b;14.02.2024;été;3,10;1\n"
    orders = orders_of(tmp_path, write(tmp_path / "ventes.csv", text, "latin-1"))
    assert (orders["encoding"], orders["decimal"], orders["time_format"]) == ("cp1252", ",", "%d.%m.%Y")
    assert orders["columns"]["amount"] == "Amount"


def test_what_is_not_sure_wants_a_look(tmp_path: Path) -> None:
    file = write(tmp_path / "x.csv", "who,moment,sum\na,02/03/2024,1.5\nb,04/03/2024,2.5\n")
    orders = orders_of(tmp_path, file)
    text = (tmp_path / "tierwise.toml").read_text()
    assert orders["columns"] == {"ordered_at": "moment", "amount": "sum"}
    for line in ("# customer_id", "ordered_at", "amount", 'time_format = "%d/%m/%Y"'):
        assert re.search(rf"(?m)^{line}.*# \?", text), line


def test_several_files_are_one_pattern(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    header = "customer_id,ordered_at,amount\na,2024-01-01,1\n"
    files = [write(tmp_path / "data" / f"orders_{year}.csv", header) for year in (2023, 2024)]
    assert orders_of(tmp_path / "one", *files)["path"] == "../data/*.csv"
    write(tmp_path / "data" / "customers.csv", "customer_id\na\n")
    assert orders_of(tmp_path / "two", *files)["path"] == "../data/orders_202*.csv"


MODELS = (
    *(Project, OrdersSource, CustomersSource, OwnSettings, ForecastSettings, TierSettings, FairnessSettings),
    *(TreatmentSettings, PlanSettings, Cadence, ServingSettings),
)
TABLES = {"columns", "exclude", "table", "sql", "levels", "flows", "fairness", "allowed", "cadence"}


def test_every_key_there_is_is_explained_in_a_line(tmp_path: Path) -> None:
    text = write_template(tmp_path, []).read_text()
    for model in MODELS:
        for key in set(model.model_fields) - TABLES:
            assert re.search(rf"(?m)^(# )?{key} = .*  # .", text), key
    assert all(len(line) <= 120 for line in text.splitlines())


def unmarked(folder: Path, first: str, behind: str) -> Configuration:
    """Read a template whose lines from one table to another hold, their marks taken away."""
    file = write_template(folder, [])
    before, rest = file.read_text().split(f"# {first}", 1)
    inner, after = rest.split(f"# {behind}", 1)
    marked = re.sub(r"(?m)^# ", "", f"# {first}{inner}")
    file.write_text(f"{before}{marked}# {behind}{after}")
    return Configuration.read(file, environ={})


def test_the_tiers_are_right_once_their_marks_are_taken_away(tmp_path: Path) -> None:
    read = unmarked(tmp_path, "[tiers]", "[[treatments]]").section("tiers", TierSettings)
    assert [level.name for level in read.levels] == ["high", "potential", "low"]
    assert (read.flows[0].tier, read.fairness.attributes) == ("high", ("gender",))


def test_treatments_and_plan_are_right_once_their_marks_are_taken_away(tmp_path: Path) -> None:
    configuration = unmarked(tmp_path, "[[treatments]]", "[serving]")
    (coupon,) = read_treatments(configuration) or ()
    plan = configuration.section("plan", PlanSettings)
    assert (coupon.name, coupon.cost_share, plan.quiet_days) == ("winback_coupon", 0.1, (date(2026, 12, 25),))
    assert (plan.capacity, set(plan.allowed)) == ({"phone": 200}, {"any", "email"})
    assert [(each.tier, each.channels) for each in plan.cadence or ()] == [("low", ("email",))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.csv", " 00001 19970101  1\n 00002 19970112  5\n", "no header", id="headless"),
        pytest.param("a.xlsx", "x", "neither text", id="another-kind"),
        pytest.param("a.parquet", "PAR1 truncated", "a.parquet cannot be read", id="truncated"),
    ],
)
def test_files_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_template(tmp_path, [write(tmp_path / name, content)])
    assert not (tmp_path / "tierwise.toml").exists()


def test_a_missing_file_and_one_with_other_columns_are_told(tmp_path: Path) -> None:
    orders = write(tmp_path / "orders.csv", "customer_id,ordered_at,amount\na,2024-01-01,1\n")
    with pytest.raises(InputError, match=r"gone.csv cannot be read: No such file"):
        write_template(tmp_path, [tmp_path / "gone.csv"])
    with pytest.raises(InputError, match=r"customers.csv has other columns than"):
        write_template(tmp_path, [orders, write(tmp_path / "customers.csv", "customer_id,region\na,x\n")])


def test_an_existing_configuration_is_never_overwritten(tmp_path: Path) -> None:
    mine = write(tmp_path / "tierwise.toml", "mine")
    with pytest.raises(InputError, match="exists already"):
        write_template(tmp_path, [])
    assert mine.read_text() == "mine"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"UserID": [7], "createdAt": [pd.Timestamp("2024-01-01")], "Total": [1.5], "SKU": ["p"]}
    )
    frame.to_parquet(tmp_path / "o.parquet")
    expected = {"customer_id": "UserID", "ordered_at": "createdAt", "amount": "Total", "product_id": "SKU"}
    assert orders_of(tmp_path, tmp_path / "o.parquet")["columns"] == expected
