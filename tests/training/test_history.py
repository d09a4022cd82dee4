from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from training import crowd
from training.history import MOST_SNAPSHOTS, History

PLAN = FeaturePlan(horizon_days=30)
MAY_30 = parse_as_of("2024-05-30")
"""150 days after the first order."""
MAY_30_DAY = Cutoff.at(MAY_30, "UTC").day
MARCH = parse_as_of("2024-03-01")


def line(customer: str, when: str, amount: float = 10, **more: Any) -> dict[str, Any]:
    number = more.pop("order_id", f"{customer} {when}")
    return {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": number} | more


SHOP = [
    line("a", "2024-01-01"),
    line("a", "2024-02-10", 20, order_id="7"),
    line("a", "2024-05-05", 30),
    line("b", "2024-02-20"),
    line("b", "2024-03-15", 40),
    line("c", "2024-05-20"),
]


@pytest.fixture
def history_of(fill: Callable[..., None]) -> Iterator[Callable[..., History]]:
    """Make the history of a shop with these order lines."""
    with duckdb.connect() as connection:

        def make(lines: list[dict[str, Any]]) -> History:
            fill(connection, PLAN, orders=lines)
            return History(connection, PLAN, "UTC", days=(7, 30))

        yield make


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(line("a", "2024-03-01"), id="at-as-of"),
        pytest.param(line("b", "2024-04-01"), id="after"),
        pytest.param(line("new", "2024-03-02"), id="of-somebody-new"),
        pytest.param(line("a", "2024-02-15", ingested_at="2024-03-02"), id="known-too-late"),
        pytest.param(line("a", "2024-03-05", -20, order_id="C7"), id="refund-of-an-earlier-order"),
    ],
)
def test_a_snapshot_is_the_same_whatever_comes_later(
    history_of: Callable[..., History], later: dict[str, Any]
) -> None:
    before = history_of(SHOP).snapshot(MARCH)
    after = history_of([*SHOP, later]).snapshot(MARCH)
    assert list(before.index) == ["a", "b"]
    pd.testing.assert_frame_equal(after, before, check_exact=True)


def test_an_order_just_before_as_of_is_in_the_snapshot(history_of: Callable[..., History]) -> None:
    history = history_of([*SHOP, line("b", "2024-02-29T23:59")])
    assert history.snapshot(MARCH)["orders_all"].to_dict() == {"a": 2, "b": 2}


def test_labels_see_only_what_was_ingested_by_then(history_of: Callable[..., History]) -> None:
    late = line("a", "2024-03-10", 5, ingested_at="2024-05-01")
    history = history_of([*SHOP, late])
    seen = history.labels(MARCH, known_by=parse_as_of("2024-04-30"))
    month = ["orders_30", "value_30"]
    assert list(seen.loc["a", month]) == [0, 0]
    assert list(history.labels(MARCH).loc["a", month]) == [1, 5]
    assert list(seen.loc["b", month]) == list(history.labels(MARCH).loc["b", month]) == [1, 40]


@pytest.mark.parametrize(
    ("known_by", "week", "month"),
    [("2024-03-08", [0, 0], None), ("2024-03-07T23:59", None, None), ("2024-03-31", [0, 0], [1, 40])],
)
def test_a_label_is_known_once_its_days_are_over(
    history_of: Callable[..., History], known_by: str, week: list | None, month: list | None
) -> None:
    labels = history_of(SHOP).labels(MARCH, known_by=parse_as_of(known_by))
    for days, came in (7, week), (30, month):
        given = labels.loc["b", [f"orders_{days}", f"value_{days}"]]
        assert given.isna().all() if came is None else list(given) == came


def test_there_is_a_snapshot_every_thirty_days_after_the_first_thirty(
    history_of: Callable[..., History],
) -> None:
    history = history_of(SHOP)
    assert history.cutoffs(MAY_30) == [MAY_30 - timedelta(days=back) for back in (30, 60, 90, 120)]
    much_later = MAY_30 + timedelta(days=2000)
    assert history.cutoffs(much_later)[-1] == much_later - timedelta(days=30 * MOST_SNAPSHOTS)


@pytest.mark.parametrize(("as_of", "cutoffs"), [("2024-02-29", []), ("2024-03-01", ["2024-01-31"])])
def test_a_shop_younger_than_sixty_days_has_no_snapshot_before(
    history_of: Callable[..., History], as_of: str, cutoffs: list[str]
) -> None:
    assert history_of(SHOP).cutoffs(parse_as_of(as_of)) == [parse_as_of(day) for day in cutoffs]


def test_a_share_draws_the_same_customers_in_every_snapshot(history_of: Callable[..., History]) -> None:
    old = [line(f"o{number}", "2024-01-01") for number in range(40)]
    history = history_of([*old, *(line(f"n{number}", "2024-04-01") for number in range(40))])
    early, late = (set(history.snapshot(day, share=0.4).index) for day in (MARCH, MAY_30))
    assert 0 < len(early) < 40
    assert early == {customer for customer in late if customer.startswith("o")}
    assert len(early) < len(late) < 80
    assert set(history.labels(MARCH, share=0.4).index) == early


def test_a_lesson_ends_with_the_present_and_knows_each_label_that_is_over(
    history_of: Callable[..., History],
) -> None:
    frame, labels = history_of(SHOP).lesson(MAY_30, share=1.0)
    day = frame["as_of_day"]
    assert day.is_monotonic_increasing
    assert sorted(set(day)) == [MAY_30_DAY - back for back in (120, 90, 60, 30, 0)]
    assert (day == MAY_30_DAY).sum() == 3
    for days in (7, 30):
        assert (labels[f"orders_{days}"].notna() == (day + days <= MAY_30_DAY)).all()
        assert (labels[f"value_{days}"].isna() == labels[f"orders_{days}"].isna()).all()


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_snapshots_that_are_made_together_are_those_made_alone(
    history_of: Callable[..., History], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = line("a", "2024-04-01", -20, order_id="C7")
    lines = [*SHOP, refund, *(line(f"o{number}", "2024-03-25", number) for number in range(9))]
    together = history_of(lines).lesson(MAY_30, share=share)
    monkeypatch.setattr(crowd, "MOST_EVENTS", 1)
    for one, other in zip(history_of(lines).lesson(MAY_30, share=share), together, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_the_rows_of_a_lesson_stand_beside_their_labels(history_of: Callable[..., History]) -> None:
    frame, labels = history_of(SHOP).lesson(MAY_30, share=1.0)
    latest = labels.loc[frame["as_of_day"] == MAY_30_DAY - 30, ["orders_30", "value_30"]]
    assert latest.to_numpy().tolist() == [[1, 30], [0, 0]]


def test_a_lesson_knows_no_label_from_after_it(history_of: Callable[..., History]) -> None:
    late = line("b", "2024-05-10", 99, ingested_at="2024-05-31")
    before, after = (history_of(lines).lesson(MAY_30, share=1.0) for lines in (SHOP, [*SHOP, late]))
    for alone, together in zip(before, after, strict=True):
        pd.testing.assert_frame_equal(together, alone, check_exact=True)


def test_a_snapshot_is_made_once(history_of: Callable[..., History]) -> None:
    history = history_of(SHOP)
    assert history.snapshot(MARCH) is history.snapshot(MARCH)


def test_a_draw_has_the_rows_of_everybody(history_of: Callable[..., History]) -> None:
    history = history_of([line(f"o{number}", "2024-01-01", number) for number in range(40)])
    drawn = history.snapshot(MARCH, share=0.3)
    assert 0 < len(drawn) < len(history.snapshot(MARCH, share=0.45)) < 40
    pd.testing.assert_frame_equal(drawn, history.snapshot(MARCH).loc[drawn.index], check_exact=True)


def test_a_lesson_holds_the_same_customers_at_present_as_before(history_of: Callable[..., History]) -> None:
    history = history_of([line(f"o{number}", "2024-01-01", number) for number in range(40)])
    frame, _ = history.lesson(MAY_30, share=0.3)
    drawn = frame.groupby("as_of_day").size()
    assert 0 < drawn.iloc[0] < 40
    assert (drawn == drawn.iloc[0]).all()
