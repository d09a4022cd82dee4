import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from features.configuration import Configuration
from features.errors import InputError
from models.bundle import Bundle
from models.placement import Placement
from models.wording import told_move
from serving.customer_history import CustomerHistory
from serving.peers import Peers
from serving.placer import Placer
from serving.prediction import Predictor
from serving.problems import Problem
from serving.scoring import ScoringJob
from serving.store import Store
from training.shop import Shop

WEEK = timedelta(days=7)
BUYERS = """
[[tiers.levels]]
name = "busy"
when = "orders_14d >= 1"
[[tiers.levels]]
name = "quiet"
"""
RESTLESS = "[tiers]\nhysteresis = 0\nminimum_stay_days = 0\n"
FLOW = """
[[tiers.flows]]
tier = "busy"
when = "recency_days > 200"
reason = "shall be called"
"""


def _copy(store: Path, other: Path) -> None:
    with closing(sqlite3.connect(store)) as one, closing(sqlite3.connect(other)) as two:
        one.backup(two)


@dataclass
class Nights:
    """A shop that is scored at several times, each with tiers and orders of its own.

    What was scored before after the same nights, by another test, is taken from there: `made`.
    """

    shop: Shop
    bundle: Bundle
    store: Store
    end: datetime
    folder: Path
    made: dict[tuple[object, ...], tuple[Path, pd.DataFrame]]
    past: tuple[object, ...] = ()

    def score(self, *, weeks: int = 0, tiers: str = "", without: str = "") -> pd.DataFrame:
        """Score some weeks before the end, as if a customer had never been."""
        self.past = (*self.past, self.shop, weeks, tiers, without)
        file = self.folder / "store.db"
        if self.past in self.made:
            store, scores = self.made[self.past]
            _copy(store, file)
            return scores
        scores = self._scored(weeks, tiers, without)
        self.made[self.past] = self.folder / f"{len(self.past)}.db", scores
        _copy(file, self.made[self.past][0])
        return scores

    def _scored(self, weeks: int, tiers: str, without: str) -> pd.DataFrame:
        kept = {
            name: frame[frame["customer_id"] != without]
            for name in ("orders", "customers", "interactions", "feedback")
            for frame in [getattr(self.shop, name)]
        }
        replace(self.shop, **kept).write(self.folder)
        file = self.folder / "tierwise.toml"
        file.write_text(file.read_text() + tiers)
        job = ScoringJob(Configuration.read(file, environ={}), self.bundle, "7", self.store)
        run = job.run(as_of=self.end - weeks * WEEK, allow_stale=True)
        scores: pd.DataFrame = pa.Table.from_batches(self.store.scores(run.run_id)).to_pandas()
        return scores.set_index("customer_id").assign(run_id=run.run_id, as_of=run.as_of)

    def periods(self) -> pd.DataFrame:
        """Return who was in which tier, and when."""
        found: pd.DataFrame = self.store.periods(kind="value_tier").to_pandas()
        return found.sort_values(["customer_id", "started_at"], ignore_index=True)


@pytest.fixture(scope="module")
def made() -> dict[tuple[object, ...], tuple[Path, pd.DataFrame]]:
    """The stores after the nights that were scored so far, and what the last of them gave."""
    return {}


@pytest.fixture
def nights(served_shop: Any, tmp_path: Path, made: dict[Any, Any]) -> Iterator[Nights]:
    bundle = Bundle.read(served_shop.folder / "bundle")
    with Store.open(tmp_path / "store.db") as store:
        yield Nights(served_shop.shop, bundle, store, served_shop.as_of, tmp_path, made)


def test_a_first_run_places_everybody_by_the_conditions_alone(nights: Nights) -> None:
    first = nights.score(weeks=3)
    assert {*first["value_tier"]} == {"high", "ordinary", "low"}
    assert (
        first["clv"][first["value_tier"] == "high"].min()
        > first["clv"][first["value_tier"] == "ordinary"].max()
    )
    assert first["previous_value_tier"].isna().all()
    assert (first["tier_changed_at"] == first["as_of"]).all()
    assert len(nights.periods()) == len(first)


def test_who_moves_has_a_reason_a_date_and_a_new_period(nights: Nights) -> None:
    before, after = nights.score(weeks=4, tiers=RESTLESS), nights.score(weeks=0, tiers=RESTLESS)
    both = before.add_suffix("_before").join(after, how="inner")
    moved = both[both["value_tier_before"] != both["value_tier"]]
    assert len(moved) > 0
    assert (moved["previous_value_tier"] == moved["value_tier_before"]).all()
    assert (moved["tier_changed_at"] == moved["as_of"]).all()
    assert all("is needed" in told_move(reason, "en") for reason in moved["transition_reason"])
    lasting = nights.periods()
    lasting = lasting[lasting["ended_at"].isna()].set_index("customer_id")
    assert (lasting["name"] == after["value_tier"].loc[lasting.index]).all()
    assert (lasting["started_at"] == after["tier_changed_at"].loc[lasting.index]).all()


def test_without_hysteresis_and_minimum_stay_history_changes_nothing(nights: Nights) -> None:
    nights.score(weeks=4, tiers=RESTLESS)
    later = nights.score(weeks=0, tiers=RESTLESS)["value_tier"]
    nights.store.prune(keep=1)
    again = nights.score(weeks=0, tiers=RESTLESS.replace("hysteresis = 0", "hysteresis = 0.0"))["value_tier"]
    pd.testing.assert_series_equal(again, later)


@pytest.mark.parametrize(("stay", "flickers"), [(0, True), (28, False)])
def test_who_has_moved_stays_for_a_while(nights: Nights, stay: int, flickers: bool) -> None:
    tiers = f"[tiers]\nminimum_stay_days = {stay}\n{BUYERS}"
    first, second, third = (nights.score(weeks=weeks, tiers=tiers)["value_tier"] for weeks in (6, 4, 2))
    rose = second.index[(second == "busy") & (first.reindex(second.index) == "quiet")]
    assert len(rose) > 0
    assert (third[rose] == "quiet").any() == flickers


def test_a_flow_moves_at_once_and_gives_its_own_reason(nights: Nights) -> None:
    nights.score(weeks=1, tiers=f"[tiers]\n{BUYERS}")
    now = nights.score(weeks=0, tiers=f"[tiers]\n{BUYERS}{FLOW}")
    called = now[(now["value_tier"] == "busy") & (now["previous_value_tier"] == "quiet")]
    reasons = {told_move(reason, "en") for reason in called["transition_reason"]}
    assert "shall be called" in reasons


def test_a_renamed_tier_keeps_its_name_in_the_past(nights: Nights) -> None:
    nights.score(weeks=1, tiers=f"[tiers]\n{BUYERS}")
    now = nights.score(weeks=0, tiers=f"[tiers]\n{BUYERS.replace('quiet', 'silent')}")
    renamed = now[now["value_tier"] == "silent"]
    assert set(renamed["previous_value_tier"].dropna()) <= {"quiet", "busy"}
    gone = renamed[renamed["previous_value_tier"] == "quiet"]
    assert "the tier 'quiet' is no longer in the policy" in told_move(gone["transition_reason"].iloc[0], "en")
    assert {"quiet", "silent"} <= {*nights.periods()["name"]}


def test_who_goes_back_to_the_tiers_of_before_on_the_same_day_finds_them_in_force(nights: Nights) -> None:
    nights.score(weeks=1)
    first = nights.score()
    other = nights.score(tiers=f"[tiers]\n{BUYERS}")
    back = nights.score()
    latest = nights.store.latest()
    assert latest is not None
    assert latest.run_id == back["run_id"].iloc[0]
    assert len({frame["run_id"].iloc[0] for frame in (first, other, back)}) == 3
    pd.testing.assert_series_equal(back["value_tier"], first["value_tier"])
    lasting = nights.periods().query("ended_at.isna()").set_index("customer_id")["name"]
    assert (lasting == back["value_tier"].loc[lasting.index]).all()
    assert nights.score()["run_id"].iloc[0] == latest.run_id


def test_a_customer_who_vanishes_from_the_sources_stands_nowhere(nights: Nights) -> None:
    first = nights.score(weeks=1)
    someone = first.index[first["historic_value"].notna()][0]
    lone = nights.score(weeks=0, without=someone)
    ended = nights.periods().query("customer_id == @someone")
    assert someone not in lone.index
    assert ended["ended_at"].notna().all()


def test_a_run_of_the_past_leaves_the_present_as_it_is(nights: Nights) -> None:
    nights.score(weeks=4, tiers=RESTLESS)
    nights.score(weeks=0, tiers=RESTLESS)
    before = nights.periods()
    past = nights.score(weeks=2, tiers=RESTLESS)
    pd.testing.assert_frame_equal(nights.periods(), before)
    assert past["value_tier"].notna().all()


def test_one_customer_is_placed_as_everybody_was(nights: Nights) -> None:
    scores = nights.score(weeks=0)
    facts = nights.store.facts(scores["run_id"].iloc[0]) or {}
    placer = Placer(Placement.from_json(facts["placement"]))
    for _, row in scores.iterrows():
        found = placer.place({"clv": row["clv"], "churn_risk": row["churn_risk"]})
        assert found["value_tier"] == row["value_tier"]


def test_prospects_alone_stand_in_the_tiers_of_every_other_night(nights: Nights) -> None:
    orders = nights.shop.orders
    nights.shop = replace(nights.shop, orders=orders[orders["ordered_at"] >= nights.end - WEEK])
    alone = nights.score(weeks=1)
    assert {*alone["lifecycle_stage"]} == {"prospect"}
    assert {*alone["value_tier"]} == {"low"}


def test_tiers_for_prices_are_refused(nights: Nights) -> None:
    with pytest.raises(InputError, match=r"tiers\.purpose.*never what a customer pays"):
        nights.score(weeks=0, tiers='[tiers]\npurpose = "pricing"\n')


def test_a_condition_on_a_protected_attribute_is_refused(nights: Nights) -> None:
    tiers = "[tiers]\nfairness.attributes = ['age_group']\n" + BUYERS.replace(
        "orders_14d >= 1", "age_group = 'old'"
    )
    with pytest.raises(InputError, match=r"names 'age_group', which tiers\.fairness\.attributes protects"):
        nights.score(tiers=tiers)


def test_a_column_that_nobody_knows_is_refused(nights: Nights) -> None:
    with pytest.raises(InputError, match="orders_14d"):
        nights.score(weeks=0, tiers=f"[tiers]\n{BUYERS.replace('orders_14d', 'orders_14')}")
    assert nights.store.latest() is None


def test_a_protected_attribute_that_nobody_has_is_refused_before_it_protects_nothing(nights: Nights) -> None:
    with pytest.raises(InputError, match=r"'age' is no attribute of customers; did you mean 'age_group'\?"):
        nights.score(tiers="[tiers]\nfairness.attributes = ['age']\n")


@pytest.mark.parametrize(("condition", "given"), [("email_consent >= 1", "no"), ("age_group <> 'old'", 5)])
def test_an_attribute_that_only_a_tier_reads_is_refused_where_it_is_of_another_kind(
    nights: Nights, condition: str, given: Any
) -> None:
    scores = nights.score(tiers="[tiers]\n" + BUYERS.replace("orders_14d >= 1", condition))
    peers = Peers.of(nights.store.facts(scores["run_id"].iloc[0]) or {})
    predictor, name = Predictor(nights.bundle, model_version="7"), condition.split(maxsplit=1)[0]
    customer = {"customer_id": "Ada", name: given}
    with pytest.raises(Problem, match=rf"customer\.{name} = .* is no (number|text)"):
        predictor.row(CustomerHistory.model_validate({"customer": customer}), now=nights.end, peers=peers)


def test_the_attributes_of_a_request_are_read_as_those_of_the_sources(nights: Nights) -> None:
    condition = "age_group = 'old' and clv is null"
    scores = nights.score(tiers="[tiers]\n" + BUYERS.replace("orders_14d >= 1", condition))
    peers = Peers.of(nights.store.facts(scores["run_id"].iloc[0]) or {})
    customer = {"customer_id": "Ada", "age_group": " old ", "clv": 1e9}
    history = CustomerHistory.model_validate({"customer": customer})
    row = Predictor(nights.bundle, model_version="7").row(history, now=nights.end, peers=peers)
    assert row["value_tier"] == "busy"
