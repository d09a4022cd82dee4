import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.configuration import Configuration
from features.errors import InputError
from models.bundle import Bundle
from models.effects import Effect
from serving.hand_outs import write_hand_outs
from serving.plan import PlanJob, planned_run
from serving.plan_file import COLUMNS, remarks, shown, write_plan
from serving.plans import Plan
from serving.scoring import ScoringJob
from serving.store import Store
from training.effects import measure

CALL = """
[[treatments]]
name = "call"
purpose = "care"
channels = ["phone"]
when = "orders_all >= 2"
cost = 1.0
effect = "0.1 * expected_value"
text = "Call, and listen."
"""
MAIL = """
[[treatments]]
name = "mail"
purpose = "grow"
channels = ["email"]
when = "orders_all >= 1"
cost = 0.1
effect = "0.01 * expected_value + 0.2"
needs_product = true
priority = 2
text = "Write."
"""
Planned = tuple[Plan, pd.DataFrame]


class Desk:
    """A small scored shop for which plans are made."""

    def __init__(self, served_shop: Any, folder: Path) -> None:
        self.shop, self.folder, self.as_of = served_shop.shop, folder, served_shop.as_of
        self.bundle = Bundle.read(served_shop.folder / "bundle")
        self.shop.write(folder)
        self._written = (folder / "tierwise.toml").read_text()
        self.store = Store.open(folder / "store.db")
        ScoringJob(self.configuration(), self.bundle, "7", self.store).run(as_of=self.as_of)

    def configuration(self, *settings: str) -> Configuration:
        file = self.folder / "tierwise.toml"
        file.write_text(self._written + "".join(settings))
        return Configuration.read(file, environ={})

    def plan(self, *settings: str) -> Planned:
        run = planned_run(self.store, None)
        done = PlanJob(self.configuration(*settings), self.bundle, self.store, run, measure).make()
        return done, self.rows(done)

    def rows(self, plan: Plan) -> pd.DataFrame:
        found: pd.DataFrame = self.store.plans.rows(plan.plan_id).to_pandas()
        return found.set_index("customer_id")


@pytest.fixture(scope="module")
def desk(served_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(served_shop, tmp_path_factory.mktemp("plans"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def two(desk: Desk) -> Planned:
    """Two treatments and ten calls."""
    return desk.plan(CALL, MAIL, "[plan]\n[plan.capacity]\nphone = 10\n")


def test_everybody_in_the_run_has_a_row_and_a_reason(desk: Desk, two: Planned) -> None:
    plan, rows = two
    run = planned_run(desk.store, None)
    assert (plan.run_id, plan.as_of, len(rows)) == (run.run_id, run.as_of, run.customers)
    assert set(rows["treatment"]) == {"call", "mail", "nothing"}
    assert rows["reason"].str.len().min() > 10
    assert rows["propensity"].between(0, 1, inclusive="right").all()
    assert rows["propensity"].astype(str).str.len().max() <= len("0.123456789")


def test_what_is_done_had_a_chance_and_where_nothing_had_one_nothing_is_done(two: Planned) -> None:
    named = two[1]["candidates"].map(json.loads, na_action="ignore")
    listed = named[named.notna()]
    assert set(listed.explode()) == {"call", "mail"}
    treated = two[1].loc[two[1]["treatment"] != "nothing", "treatment"]
    assert all(name in listed[customer] for customer, name in treated.items())
    assert set(two[1].loc[named.isna(), "treatment"]) <= {"nothing"}


def test_places_are_kept_and_have_a_price(two: Planned) -> None:
    plan, rows = two
    called = rows[(rows["treatment"] == "call") & ~rows["is_holdout"]]
    assert 8 <= len(called) <= 10
    phone = plan.facts["limits"]["channel phone"]
    assert (phone["used"], phone["most"], phone["price"] > 0) == (len(called), 10, True)
    assert plan.facts["achieved"] <= plan.facts["bound"]


def test_what_is_due_begins_at_the_run_and_avoids_quiet_days(desk: Desk, two: Planned) -> None:
    today = desk.as_of.date()
    due = two[1].loc[two[1]["treatment"] == "mail", ["due_from", "due_to"]].drop_duplicates()
    assert due.to_numpy().tolist() == [[today, today + timedelta(days=13)]]
    _, later = desk.plan(MAIL, f'[plan]\nquiet_days = ["{today}"]\n')
    assert set(later.loc[later["treatment"] == "mail", "due_from"]) == {today + timedelta(days=1)}


def test_a_plan_made_again_is_the_same_and_another_one_replaces_it(desk: Desk) -> None:
    first, rows = desk.plan(CALL)
    again, same = desk.plan(CALL)
    assert (again.plan_id, again.published_at is None) == (first.plan_id, False)
    pd.testing.assert_frame_equal(rows, same)
    other, _ = desk.plan(MAIL)
    assert other.plan_id != first.plan_id
    assert desk.store.plans.rows(first.plan_id).num_rows == 0


def test_whoever_gets_an_offer_gets_a_product_with_it(two: Planned) -> None:
    offered = two[1]["treatment"] == "mail"
    assert two[1].loc[offered, "product_id"].notna().all()
    assert two[1].loc[~offered, "product_id"].isna().all()


def test_the_text_tells_each_customer_s_own_facts(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL.replace("Call, and listen.", "{orders_all} orders: call by {due_to}."), MAIL)
    write_plan(plan, desk.store.plans.rows(plan.plan_id), tmp_path / "plan.parquet")
    texts = pd.read_parquet(tmp_path / "plan.parquet").groupby("treatment")["text"]
    last = desk.as_of.date() + timedelta(days=13)
    assert texts.get_group("call").str.fullmatch(rf"\d+ orders: call by {last}\.").all()
    assert len(set(texts.get_group("call"))) > 1
    assert (texts.get_group("mail").nunique(), texts.get_group("nothing").count()) == (1, 0)
    assert rows.loc[rows["treatment"] != "call", "text"].isna().all()


def test_without_treatments_of_their_own_they_get_the_shipped_ones(desk: Desk) -> None:
    plan, rows = desk.plan()
    assert {"win_back", "nothing"} <= set(rows["treatment"])
    told = remarks(plan)
    assert told[0].startswith("these are the shipped treatments")
    assert "birthday_greeting is left out: the records do not tell birthday_in_days" in told


def test_what_was_measured_of_a_treatment_that_is_not_planned_is_named(desk: Desk) -> None:
    plan, _ = desk.plan(CALL)
    assert "winback_coupon was measured, and no treatment of this name is planned" in remarks(plan)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param("budget = 0.0\n", "others gain more from the same money", id="no-budget"),
        pytest.param("[plan.allowed]\nany = 'orders_all < 0'\n", "wants no contact", id="all-opted-out"),
        pytest.param("most_contacts = 0\n", "was contacted often enough", id="no-contact-left"),
    ],
)
def test_a_plan_of_nothing_says_why(desk: Desk, settings: str, told: str) -> None:
    _, rows = desk.plan(CALL, "[plan]\n", settings)
    assert set(rows["treatment"]) == {"nothing"}
    assert rows["reason"].str.contains(told).any()
    assert rows[["channel", "due_from", "expected_cost", "expected_gain"]].isna().all(axis=None)


def test_who_gets_nothing_is_counted_by_what_decided(desk: Desk) -> None:
    plan, rows = desk.plan(
        CALL, "[plan]\n[plan.allowed]\nautomated = 'orders_all > 3'\n[plan.capacity]\nphone = 5\n"
    )
    left = rows[rows["treatment"] == "nothing"]
    told = plan.facts["left_alone"]
    assert sum(told.values()) == len(left)
    for rule, sentence in {
        "beaten": "others gain more from the same",
        "automated_opt_out": "wants no automated",
        "nobody": "no treatment is meant",
    }.items():
        assert told[rule] == left["reason"].str.contains(sentence).sum() > 0


def test_a_treatment_nobody_is_meant_for_is_no_error(desk: Desk) -> None:
    plan, rows = desk.plan(CALL.replace("orders_all >= 2", "orders_all > 1e6"))
    assert set(rows["reason"]) == {"no treatment is meant for this customer"}
    assert remarks(plan)[-1] == "call is open to nobody"


def test_costs_above_any_gain_plan_nothing(desk: Desk) -> None:
    _, rows = desk.plan(CALL.replace("cost = 1.0", "cost = 1e9"), "[plan]\nexplore = 0.0\n")
    assert set(rows["treatment"]) == {"nothing"}
    assert rows["reason"].str.contains("at best it would lose").any()


def test_who_wants_no_automated_decision_goes_to_a_person(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL, "[plan]\n[plan.allowed]\nautomated = 'orders_all > 3'\n")
    person = rows[rows["channel"] == "person"]
    assert len(person) > 0
    assert set(person["treatment"]) == {"nothing"}
    assert set(person["reason"]) == {"wants no automated decisions: a person decides about call"}
    written = write_hand_outs(plan, desk.store.plans.rows(plan.plan_id), tmp_path)
    assert written[f"plans/{plan.as_of:%Y-%m-%d}/person.csv"] == len(person)


def test_another_language_tells_the_same_plan_in_other_words(desk: Desk) -> None:
    english, rows = desk.plan(CALL)
    chinese, told = desk.plan(CALL, '[serving]\nlanguage = "zh"\n')
    assert chinese.plan_id != english.plan_id
    assert told["treatment"].equals(rows["treatment"])
    assert set(told["reason"]).isdisjoint(rows["reason"])


def test_what_a_plan_did_lately_is_not_done_again(served_shop: Any, tmp_path: Path) -> None:
    desk, week = Desk(served_shop, tmp_path), timedelta(days=7)
    ScoringJob(desk.configuration(), desk.bundle, "7", desk.store).run(as_of=desk.as_of - week)
    earlier = planned_run(desk.store, desk.as_of - week)
    before = PlanJob(desk.configuration(CALL), desk.bundle, desk.store, earlier, measure).make()
    _, rows = desk.plan(CALL)
    called = desk.rows(before).query("treatment == 'call'").index
    assert len(called) > 0
    assert set(rows.loc[called, "treatment"]) == {"nothing"}
    assert set(rows.loc[called, "reason"]) == {"had what is meant for this customer a short time ago"}
    desk.store.close()


def test_what_was_measured_of_the_most_valuable_is_expected_of_others_in_proportion(
    served_shop: Any, tmp_path: Path
) -> None:
    desk, past = Desk(served_shop, tmp_path), timedelta(days=100)
    ScoringJob(desk.configuration(), desk.bundle, "7", desk.store).run(as_of=desk.as_of - past)
    earlier = planned_run(desk.store, desk.as_of - past)
    few = desk.configuration(CALL, "[plan]\nexplore = 0.0\n[plan.capacity]\nphone = 20\n")
    before = PlanJob(few, desk.bundle, desk.store, earlier, measure).make()
    assumed = before.facts["treatments"]["call"]["assumed"]

    def measured(*given: Any, **known: Any) -> dict[str, Effect]:
        measure(*given, **known)
        return {"call": Effect(value=20.0, value_se=1e-6)}

    all_of_them = desk.configuration(CALL.replace("cost = 1.0", "cost = 0.0"))
    plan = PlanJob(all_of_them, desk.bundle, desk.store, planned_run(desk.store, None), measured).make()
    called, now = desk.rows(plan).query("treatment == 'call'"), plan.facts["treatments"]["call"]
    assert (len(called), now["assumed"] < assumed / 1.5) == (now["open"], True)
    assert called["expected_gain"].mean() == pytest.approx(20.0 * now["assumed"] / assumed)
    desk.store.close()


def test_the_file_has_the_columns_that_are_promised(desk: Desk, tmp_path: Path) -> None:
    plan, _ = desk.plan(CALL, MAIL)
    write_plan(plan, desk.store.plans.rows(plan.plan_id), tmp_path / "plan.parquet")
    written = pq.read_table(tmp_path / "plan.parquet")
    assert tuple(written.column_names) == COLUMNS
    assert written.schema.field("as_of").type == pa.timestamp("us", "UTC")
    assert set(written["plan_id"].to_pylist()) == {plan.plan_id}


def test_hand_outs_list_whom_to_treat_and_never_the_held_out(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL, MAIL, "[plan]\nholdout = 0.3\n")
    written = write_hand_outs(plan, desk.store.plans.rows(plan.plan_id), tmp_path)
    folder = tmp_path / "plans" / f"{plan.as_of:%Y-%m-%d}"
    phone = pd.read_csv(folder / "phone.csv")
    assert phone.columns.tolist() == ["customer_id", "treatment", "due_from", "due_to", "text"]
    assert set(phone["text"]) == {"Call, and listen."}
    listed = rows.loc[pd.concat([phone, pd.read_csv(folder / "email.csv")])["customer_id"]]
    assert not listed["is_holdout"].any()
    assert sum(written.values()) == len(listed)


def test_the_terminal_tells_each_treatment_and_all_together(desk: Desk) -> None:
    plan, rows = desk.plan(CALL, MAIL, "[plan]\nholdout = 0.3\n")
    table = shown(plan, desk.store.plans.totals(plan.plan_id), currency="EUR")[0]
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["treatment"] == ["call", "mail", "together", "nothing"]
    assert cells["measured"] == ["0%", "0%", "", ""]
    done = rows[(rows["treatment"] != "nothing") & ~rows["is_holdout"]]
    assert cells["customers"][2:] == [f"{len(done):,}", f"{(rows['treatment'] == 'nothing').sum():,}"]
    assert cells["held out"][2] == f"{rows['is_holdout'].sum():,}"
    assert cells["cost (EUR)"][2] == f"{done['expected_cost'].sum():,.0f}"


def test_a_run_whose_scores_are_gone_is_refused(desk: Desk) -> None:
    run = replace(planned_run(desk.store, None), run_id="gone")
    with pytest.raises(InputError, match=r"run 'gone' placed nobody.*score again"):
        PlanJob(desk.configuration(CALL), desk.bundle, desk.store, run, measure).make()


def test_without_a_run_there_is_nothing_to_plan(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "empty.db") as store,
        pytest.raises(InputError, match="no run is published; a plan needs one: tierwise score"),
    ):
        planned_run(store, None)
