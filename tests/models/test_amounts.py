from typing import Any

import duckdb
import pytest

from features.contract import Kind
from features.errors import InputError
from models.amounts import Amount

KINDS = {"expected_value": Kind.NUMBER, "clv": Kind.NUMBER, "vip": Kind.FLAG, "country": Kind.TEXT}


def read(text: str) -> Amount:
    return Amount.read(text, columns=KINDS, where="treatments.coupon.effect")


def worth(text: str, *, expected_value: float | None = 50.0, clv: float | None = 200.0) -> Any:
    row = "SELECT $1::DOUBLE AS expected_value, $2::DOUBLE AS clv, 1 AS vip"
    query = f"SELECT {read(text).sql()} FROM ({row})"
    return duckdb.execute(query, [expected_value, clv]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("3", 3.0),
        ("-1e-07", -1e-07),
        ("0.08 * expected_value", 4.0),
        ("(clv - expected_value) / 4 + 2 * vip", 39.5),
    ],
)
def test_an_amount_is_calculated(text: str, amount: float) -> None:
    assert worth(text) == pytest.approx(amount)


def test_what_is_not_known_makes_an_amount_unknown() -> None:
    assert worth("0.1 * expected_value", expected_value=None) is None
    assert worth("coalesce(expected_value, 0.5 * clv)", expected_value=None) == 100.0
    assert worth("expected_value / (clv - 200)") is None


def test_it_tells_what_it_reads() -> None:
    assert read("clv + clv / expected_value").columns == ("clv", "expected_value")
    assert read("3").columns == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.1 * expectd_value", "there is no column 'expectd_value'; did you mean 'expected_value'?"),
        ("country", "country is text, and an amount is a number"),
        ("'3'", "'3' is text, and an amount is a number"),
        ("clv > 3", "'clv > 3' is a truth, not a value"),
        ("sum(clv)", "'SUM(clv)' cannot stand in an amount; an amount is made of columns, numbers, + - * /"),
        ("(select 1)", "cannot stand in an amount"),
        ("clv; drop table subjects", "neither comments nor ';' can stand in an amount"),
        ("clv / 0", "clv is divided by zero"),
        ("", "is not an amount; an amount is made of"),
        ("1 +", "is not an amount"),
        ("clv +" * 1000 + "clv", "has 5,003 characters, and an amount at most 4,000"),
        ("inf", "there is no column 'inf'"),
    ],
)
def test_what_is_no_amount_is_told_where(text: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        read(text)
    assert str(told.value).startswith("treatments.coupon.effect")
    assert message in str(told.value)
