from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Self

import duckdb
import pandas as pd
import pytest

from features.instants import parse_as_of
from features.plan import FeaturePlan
from models import bundle
from models.baselines import RecencyRule
from models.bundle import Bundle
from models.skill import Skill
from models.spread import ValueSpread
from training.history import History
from training.holdout import champion_forecasts, forecasts, held_out_origins

PLAN = FeaturePlan(horizon_days=30)
MAY_30 = parse_as_of("2024-05-30")
"""150 days after the first order."""
ORIGINS = [parse_as_of("2024-04-30"), parse_as_of("2024-03-31")]


class Watched(RecencyRule):
    """A rule that remembers what it was taught."""

    taught: list[tuple[pd.DataFrame, pd.DataFrame]]

    def fit(self, frame: pd.DataFrame, labels: pd.DataFrame) -> Self:
        """Learn and remember."""
        self.taught.append((frame, labels))
        return super().fit(frame, labels)


def line(customer: str, when: str, amount: float, **more: Any) -> dict[str, Any]:
    number = f"{customer} {when}"
    return {"customer_id": customer, "ordered_at": when, "amount": amount, "order_id": number} | more


@pytest.fixture(scope="module")
def history(fill: Callable[..., None]) -> Iterator[History]:
    """Two customers; one order of April is known only in June."""
    days = ["2024-01-01", "2024-02-01", "2024-03-10", "2024-04-20", "2024-05-10"]
    late = line("b", "2024-04-10", 99, ingested_at="2024-06-15")
    with duckdb.connect() as connection:
        orders = [*(line("a", day, 10) for day in days), line("b", "2024-02-05", 5), late]
        fill(connection, PLAN, orders=orders)
        yield History(connection, PLAN, "UTC", days=Watched(horizon_days=30).knots)


@pytest.fixture
def champion(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bundle]:
    """Bundle a champion trained at this time, whose risks are like nobody's."""
    monkeypatch.setattr(Watched, "taught", [], raising=False)
    monkeypatch.setitem(bundle.KINDS, Watched.kind, Watched)
    rule = Watched(horizon_days=30)
    group = [[each] * len(rule.knots) for each in (0.123, 2.0, 3.0)]
    compared = {"spread": ValueSpread().state(), "skill": Skill().state(), "usual": {}}
    rule.restore({"groups": [group, group], **compared})
    return lambda trained_at: Bundle.of(rule, PLAN, training={"as_of": f"{trained_at}+00:00"})


def judged(history: History, champion: Bundle) -> pd.DataFrame:
    return champion_forecasts(history, champion, origins=ORIGINS, known_by=MAY_30, name="old")


@pytest.mark.parametrize(
    ("trained_at", "taught_anew"),
    [
        pytest.param("2024-03-01T00:00", [], id="before-both"),
        pytest.param("2024-03-31T00:00", [], id="at-the-earlier"),
        pytest.param("2024-04-15T00:00", ORIGINS[1:], id="between"),
        pytest.param("2024-05-30T00:00", ORIGINS, id="after-both"),
    ],
)
def test_a_champion_is_taught_anew_only_where_it_knew_what_came(
    history: History, champion: Callable[[str], Bundle], trained_at: str, taught_anew: list[Any]
) -> None:
    frame = judged(history, champion(trained_at))
    assert len(Watched.taught) == len(taught_anew)
    as_it_is = frame["churn_risk"] == 0.123
    assert set(frame.loc[~as_it_is, "origin"]) == set(taught_anew)
    assert set(frame.loc[as_it_is, "origin"]) == set(ORIGINS) - set(taught_anew)


def test_who_is_taught_anew_learns_what_was_known_at_the_origin(
    history: History, champion: Callable[[str], Bundle]
) -> None:
    judged(history, champion("2024-05-30T00:00"))
    for origin, (frame, labels) in zip(ORIGINS, Watched.taught, strict=True):
        known = history.lesson(origin, share=1.0)
        pd.testing.assert_frame_equal(frame, known[0], check_exact=True)
        pd.testing.assert_frame_equal(labels, known[1], check_exact=True)


def test_the_truth_is_what_was_known_at_the_end(history: History, champion: Callable[[str], Bundle]) -> None:
    frame = judged(history, champion("2024-03-01T00:00"))
    truth = {(row.origin, row.customer_id): (row.orders, row.value) for row in frame.itertuples()}
    later, earlier = ORIGINS
    assert truth == {
        (later, "a"): (1, 10),
        (later, "b"): (0, 0),
        (earlier, "a"): (1, 10),
        (earlier, "b"): (0, 0),
    }
    assert set(frame["model"]) == {"old"}


def test_a_recipe_is_taught_at_every_origin_and_stays_unlearnt(
    history: History, champion: Callable[[str], Bundle]
) -> None:
    recipe = Watched(horizon_days=30)
    told: list[str] = []
    frame = forecasts(history, {"rule": recipe}, origins=ORIGINS, known_by=MAY_30, progress=told.append)
    anew = judged(history, champion("2024-05-30T00:00"))
    pd.testing.assert_frame_equal(frame.drop(columns="model"), anew.drop(columns="model"), check_exact=True)
    assert told == ["rule, held out from 2024-04-30", "rule, held out from 2024-03-31"]
    assert not hasattr(recipe, "groups_")


@pytest.mark.parametrize(("days_less", "origins"), [(0, 2), (30, 2), (31, 1), (60, 1), (61, 0)])
def test_an_origin_needs_a_snapshot_before_it(history: History, days_less: int, origins: int) -> None:
    as_of = MAY_30 - timedelta(days=days_less)
    expected = [as_of - timedelta(days=30), as_of - timedelta(days=60)][:origins]
    assert held_out_origins(history, as_of) == expected


def test_what_stands_beside_a_fitted_recipe_is_judged_on_the_same_rows(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "taught", [], raising=False)
    frame = forecasts(
        history,
        {"rule": Watched(horizon_days=30)},
        origins=ORIGINS,
        known_by=MAY_30,
        progress=lambda _: None,
        beside=lambda name, fitted: {f"{name} again": fitted},
    )
    one, other = (frame[frame["model"] == name] for name in ("rule", "rule again"))
    columns = frame.columns.drop("model")
    assert one[columns].to_numpy().tolist() == other[columns].to_numpy().tolist()
    assert len(Watched.taught) == len(ORIGINS)


def test_forecasts_say_how_long_each_customer_was_silent(
    history: History, champion: Callable[[str], Bundle]
) -> None:
    frame = judged(history, champion("2024-03-01T00:00"))
    silent = {(row.origin, row.customer_id): row.recency_days for row in frame.itertuples()}
    later, earlier = ORIGINS
    assert silent == {(later, "a"): 10, (later, "b"): 85, (earlier, "a"): 21, (earlier, "b"): 55}
