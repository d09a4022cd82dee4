from collections.abc import Callable
from typing import Any


def test_a_history_too_short_for_any_origin_is_refused_in_a_sentence(
    shop: Any, run: Callable[..., Any]
) -> None:
    before = sorted(shop.workspace.glob("backtest.*"))
    refused = run("backtest", "-c", shop.file, "--as-of", "2023-04-01")
    refused.assert_refused("is too short for a backtest of 120 days; set a shorter forecast.horizon_days")
    assert sorted(shop.workspace.glob("backtest.*")) == before == []


def test_the_command_judges_and_names_its_page(shop: Any, run: Callable[..., Any]) -> None:
    done = run("backtest", "-c", shop.file, "--as-of", "2023-05-20", "--set", "forecast.horizon_days=60")
    assert done.code == 0, done
    page = shop.workspace / "backtest.html"
    assert done.out.endswith(f"the page: {page}\n")
    assert "grade " in done.out
    assert "Gain over" in page.read_text()
