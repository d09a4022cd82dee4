import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.errors import InputError
from models.effects import Effect
from serving.plan import PlanJob, planned_run
from serving.plan_file import remarks
from serving.store import Store
from tests.serving.desk import CALL, MAIL, Desk, Planned
from training.effects import measure


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


def test_without_treatments_of_their_own_they_get_the_shipped_ones(desk: Desk) -> None:
    plan, rows = desk.plan()
    assert {"win_back", "nothing"} <= set(rows["treatment"])
    told = remarks(plan)
    assert told[0].startswith("these are the shipped treatments")
    assert "birthday_greeting is left out: the records do not tell birthday_in_days" in told


def test_what_was_measured_of_a_treatment_that_is_not_planned_is_named(desk: Desk) -> None:
    plan, _ = desk.plan(CALL)
    assert "winback_coupon was measured, and no treatment of this name is planned" in remarks(plan)


def test_costs_above_any_gain_plan_nothing(desk: Desk) -> None:
    _, rows = desk.plan(CALL.replace("cost = 1.0", "cost = 1e9"), "[plan]\nexplore = 0.0\n")
    assert set(rows["treatment"]) == {"nothing"}
    assert rows["reason"].str.contains("at best it would lose").any()


def test_what_a_plan_did_lately_is_not_done_again(own_desk: Desk) -> None:
    desk, last_week = own_desk, own_desk.as_of - timedelta(days=7)
    desk.score(last_week)
    earlier = planned_run(desk.store, last_week)
    before = PlanJob(desk.configuration(CALL), desk.bundle, desk.store, earlier, measure).make()
    _, rows = desk.plan(CALL)
    called = desk.rows(before).query("treatment == 'call'").index
    assert len(called) > 0
    assert set(rows.loc[called, "treatment"]) == {"nothing"}
    assert set(rows.loc[called, "reason"]) == {"had what is meant for this customer a short time ago"}


def test_what_was_measured_of_the_most_valuable_is_expected_of_others_in_proportion(
    own_desk: Desk,
) -> None:
    desk, past = own_desk, own_desk.as_of - timedelta(days=100)
    desk.score(past)
    earlier = planned_run(desk.store, past)
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
