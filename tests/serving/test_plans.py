from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from serving.database import StoreError
from serving.plans import ROWS, Plan
from serving.store import Store
from tests.serving.runs import NIGHT, a_run

WEEK = timedelta(days=7)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        opened.publish(a_run("first", customers=0), [], facts={})
        yield opened


def a_plan(
    plan_id: str = "spring", *, run_id: str = "first", as_of: datetime = NIGHT, **changes: Any
) -> Plan:
    facts: dict[str, Any] = {"treatments": {"call": {"text": "Call."}, "letter": {"text": "Write."}}}
    return Plan(
        **{"plan_id": plan_id, "run_id": run_id, "as_of": as_of, "customers": 2, "facts": facts} | changes
    )


def rows(treatment: str = "call") -> pa.Table:
    called = {
        "customer_id": "Ada",
        "treatment": treatment,
        "channel": "phone",
        "due_from": date(2024, 3, 1),
        "due_to": date(2024, 3, 14),
        "expected_cost": 4.0,
        "expected_gain": 9.5,
        "gain_low": -1.0,
        "gain_high": 20.0,
        "is_holdout": True,
        "is_explored": False,
        "propensity": 0.1,
        "candidates": '["call"]',
        "product_id": "teapot",
        "text": "Call about 3 orders.",
        "reason": "[]",
    }
    nothing = dict.fromkeys(called) | {"customer_id": "Bob", "treatment": "nothing", "reason": "[]"}
    nothing |= {"is_holdout": False, "is_explored": False, "propensity": 0.95}
    return pa.Table.from_pylist([called, nothing], schema=ROWS)


def test_a_plan_is_read_as_it_was_published(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    found = store.plans.latest()
    assert found is not None
    assert (found.plan_id, found.as_of, found.facts) == ("spring", NIGHT, a_plan().facts)
    assert store.plans.rows("spring").equals(rows())
    ada = store.plans.customer("Ada")
    assert ada is not None
    assert (ada["plan_id"], ada["treatment"], ada["due_to"]) == ("spring", "call", date(2024, 3, 14))
    assert store.plans.customer("Eve") is None


def test_a_customer_is_told_their_own_text_else_that_of_the_treatment(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    ada, bob = store.plans.customer("Ada"), store.plans.customer("Bob")
    assert ada is not None
    assert bob is not None
    assert (ada["text"], bob["text"], "facts" in ada) == ("Call about 3 orders.", None, False)
    texts = pa.nulls(2, pa.string())
    place = ROWS.names.index("text")
    store.plans.publish(a_plan("plain"), rows().set_column(place, ROWS.field("text"), texts))
    plain = store.plans.customer("Ada")
    assert plain is not None
    assert plain["text"] == "Call."


def test_a_plan_replaces_the_one_of_its_run(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    store.plans.publish(a_plan("second thoughts"), rows("letter"))
    assert store.plans.rows("spring").num_rows == 0
    assert store.plans.rows("second thoughts")["treatment"].to_pylist() == ["letter", "nothing"]


def test_the_log_tells_what_earlier_plans_assigned(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    assert store.plans.log(before=NIGHT).num_rows == 0
    first = store.plans.log(before=NIGHT + WEEK).to_pylist()[0]
    assert first == {
        "plan_id": "spring",
        "customer_id": "Ada",
        "assigned_at": NIGHT,
        "treatment": "call",
        "propensity": 0.1,
        "is_holdout": True,
        "is_explored": False,
        "cost": 4.0,
        "channel": "phone",
        "run_id": "first",
    }


def test_a_plan_is_summed_up_by_treatment_less_who_is_held_out(store: Store) -> None:
    assert store.plans.totals("spring") == []
    held, nothing = rows().to_pylist()
    done = held | {"customer_id": "Cy", "is_holdout": False, "is_explored": True}
    unknown = done | {"customer_id": "Di", "is_explored": False, "expected_gain": None}
    planned = pa.Table.from_pylist([held, nothing, done, unknown], schema=ROWS)
    store.plans.publish(a_plan(customers=4), planned)
    call, none = store.plans.totals("spring")
    assert call == {
        "treatment": "call",
        "customers": 2,
        "held_out": 1,
        "at_random": 1,
        "expected_cost": 8.0,
        "expected_gain": 9.5,
        "gain_low": -2.0,
        "gain_high": 40.0,
    }
    assert (none["treatment"], none["customers"], none["expected_cost"]) == ("nothing", 1, None)


def test_what_was_assumed_is_told_of_earlier_plans(store: Store) -> None:
    facts = {
        "call": {"effect": "clv", "assumed": 2.5},
        "mail": {"effect": "1", "assumed": None},
        "letter": {},
    }
    store.plans.publish(a_plan(facts={"treatments": facts}), rows())
    assert store.plans.assumed(before=NIGHT) == {}
    assert store.plans.assumed(before=NIGHT + WEEK) == {("spring", "call", "clv"): 2.5}


def test_a_plan_follows_the_newest_before_it(store: Store) -> None:
    later = NIGHT + WEEK
    store.publish(a_run("second", as_of=later, customers=0, preceding="first"), [], facts={})
    store.plans.publish(a_plan(), rows())
    with pytest.raises(StoreError, match="plan 'spring' was published while this one was made; plan again"):
        store.plans.publish(a_plan("summer", run_id="second", as_of=later), rows())
    store.plans.publish(a_plan("summer", run_id="second", as_of=later, preceding="spring"), rows())
    assert [plan.plan_id for plan in (store.plans.latest(), store.plans.at(NIGHT)) if plan] == [
        "summer",
        "spring",
    ]


def test_a_plan_of_a_replaced_run_is_refused(store: Store) -> None:
    store.publish(a_run("again", customers=0), [], facts={})
    with pytest.raises(StoreError, match="run 'first' was replaced while its plan was made; plan again"):
        store.plans.publish(a_plan(), rows())


def test_a_plan_of_other_rows_than_customers_is_not_published(store: Store) -> None:
    with pytest.raises(ValueError, match="2 rows for 3 customers"):
        store.plans.publish(a_plan(customers=3), rows())
    assert store.plans.latest() is None


def test_times_are_those_of_utc(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    assert (
        store.plans.log(before=datetime.max.replace(tzinfo=UTC)).schema.field("assigned_at").type.tz == "UTC"
    )


def test_what_chance_decided_is_read_with_what_had_a_chance_and_nothing_else(store: Store) -> None:
    store.plans.publish(a_plan(), rows())
    (row,) = store.plans.drawn().to_pylist()
    assert (row["customer_id"], row["treatment"], row["candidates"]) == ("Ada", "call", '["call"]')
    assert (row["assigned_at"], row["cost"], row["is_holdout"]) == (NIGHT, 4.0, True)
