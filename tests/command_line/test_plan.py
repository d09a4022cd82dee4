from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

Run = Callable[..., Any]
LETTER = """
[[treatments]]
name = "letter"
purpose = "care"
channels = ["post"]
when = "orders_all >= 1"
cost = 0.5
effect = "0.1 * expected_value"
text = "Write a letter."
"""


def test_a_plan_is_written_and_handed_out_by_channel(shop: Any, run: Run, end: str) -> None:
    shop.configure(lambda text: text + LETTER)
    out = shop.folder / "plan.parquet"
    done = run("plan", "-c", shop.file, "--out", out, "--set", "plan.budget=20.0")
    assert done.code == 0, done
    plan = pd.read_parquet(out)
    written = plan[(plan["treatment"] == "letter") & ~plan["is_holdout"]]
    assert 0 < written["expected_cost"].sum() <= 20
    file = shop.workspace / "plans" / end / "post.csv"
    handed = pd.read_csv(file)
    assert set(handed["customer_id"]) == set(written["customer_id"])
    for word in ("letter", "together", "nothing", "budget", f"{len(handed)} customers: {file}"):
        assert word in done.out


def test_a_second_plan_of_the_same_changes_nothing(shop: Any, run: Run) -> None:
    first, again = (shop.folder / f"{name}.parquet" for name in ("first", "again"))
    for file in (first, again):
        assert run("plan", "-c", shop.file, "--out", file).code == 0
    pd.testing.assert_frame_equal(pd.read_parquet(first), pd.read_parquet(again))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(
            ["--as-of", "2023-06-01"], "no run as of 2023-06-01 00:00 UTC is published", id="no-run"
        ),
        pytest.param(["--set", "plan.budget=-1"], "plan.budget", id="debt"),
        pytest.param(["--set", "plan.holdout=0.9"], "plan.holdout", id="mostly-held-out"),
        pytest.param(
            ["--set", "plan.capacity.phnoe=3"], "'phnoe'; did you mean 'phone'?", id="unknown-channel"
        ),
    ],
)
def test_what_cannot_be_planned_is_refused(shop: Any, run: Run, arguments: list[str], says: str) -> None:
    run("plan", "-c", shop.file, *arguments).assert_refused(says)


def test_a_plan_changes_no_scores(shop: Any, run: Run, end: str) -> None:
    before = shop.published()
    shop.configure(lambda text: text + LETTER)
    assert run("plan", "-c", shop.file).code == 0
    assert run("score", "-c", shop.file, "--as-of", end).code == 0
    assert shop.published() == before


def test_effects_need_a_log(shop: Any, run: Run) -> None:
    run("effects", "-c", shop.file).assert_refused("there is no log of treatments to measure")
