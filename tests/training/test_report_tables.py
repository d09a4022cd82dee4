import pandas as pd

from training.report_tables import between
from training.report_words import DASH, decimal, percent


def ends(*values: float | None) -> "pd.Series[float]":
    return pd.Series(values, dtype=float)


def test_a_number_stands_with_its_interval_and_an_unknown_one_is_a_dash() -> None:
    written = between(ends(0.12, None), ends(0.09, None), ends(0.15, None), percent)
    assert written == [f"12% (9%{DASH}15%)", DASH]


def test_a_minus_keeps_its_distance_from_the_dash() -> None:
    assert between(ends(-3.83), ends(-10.68), ends(3.02), decimal) == [f"-3.83 (-10.68 {DASH} 3.02)"]


def test_next_to_nothing_has_no_sign() -> None:
    assert (percent(-0.002), decimal(-0.001)) == ("0%", "0.00")
