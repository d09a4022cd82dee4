import pandas as pd
import pytest
from rich.console import Console

from training.evaluation import MEASURES, Evaluation
from training.scoreboard import amount, render

NAN = float("nan")


def evaluation(*models: str, origins: int = 2, **numbers: float) -> Evaluation:
    """Every metric of every model at .8125 (.803-.821), from origin to origin .79-.83, but for `numbers`."""
    usual = {"estimate": 0.8125, "low": 0.803, "high": 0.821, "lowest_origin": 0.79, "highest_origin": 0.83}
    rows = [{"model": model, "metric": metric} | usual | numbers for model in models for metric in MEASURES]
    return Evaluation(pd.DataFrame(rows), customers=25_000, origins=origins, resamples=250)


def shown(evaluation: Evaluation) -> str:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(render(evaluation))
    return capture.get()


def test_a_cell_is_the_estimate_and_its_interval() -> None:
    text = shown(evaluation("trees"))
    assert "trees                  .812 (.803–.821)" in text  # noqa: RUF001 - as printed
    assert "+81.2% (+80.3% – +82.1%)" in text  # noqa: RUF001 - as printed
    assert "250 bootstrap resamples of 25,000 customers; held-out origins: 2." in " ".join(text.split())


def test_six_models_and_large_amounts_fit_into_100_columns() -> None:
    names = [f"purchase_process_{number}" for number in range(6)]
    large = shown(evaluation(*names, estimate=12345.6, low=11999.9, high=13000.1))
    assert "12,346 (12,000–13,000)" in large  # noqa: RUF001
    assert "…" not in large
    assert max(map(len, large.splitlines())) <= 100
    lines = large.splitlines()
    assert sum(line.startswith("purchase_process_") for line in lines) == 6 * 4


def test_several_origins_show_their_spread_and_one_does_not() -> None:
    assert ".790–.830" in shown(evaluation("trees"))  # noqa: RUF001
    assert ".790" not in shown(evaluation("trees", origins=1))


def test_what_cannot_be_measured_is_a_dash() -> None:
    text = shown(evaluation("trees", estimate=NAN, low=NAN, high=NAN, lowest_origin=NAN, highest_origin=NAN))
    assert "nan" not in text
    assert "trees                  –" in text  # noqa: RUF001


def test_a_name_with_brackets_is_no_markup() -> None:
    assert "[red]trees" in shown(evaluation("[red]trees"))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, ".00"), (0.0123, ".0123"), (-0.5, "-.500"), (1.0, "1.00"), (51.87, "51.9"), (12345.6, "12,346")],
)
def test_amounts_have_three_digits(number: float, text: str) -> None:
    assert amount(number) == text


def test_ranges_over_origins_may_be_left_out() -> None:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(render(evaluation("trees"), ranges=False))
    assert "highest origin" not in capture.get()
    assert "highest origin" in shown(evaluation("trees"))
