from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from serving.database import StoreError
from serving.store import CHUNK_ROWS, Store
from tests.serving.runs import ADA, BOB, FACTS, NIGHT, REASONS, a_run, publish, rows


def risk_of_ada(store: Store) -> float | None:
    row = store.customer("Ada")
    return None if row is None else row["churn_risk"]


def test_an_empty_store_knows_nothing(store: Store) -> None:
    assert store.latest() is None
    assert store.runs() == []
    assert store.published("first") is None
    assert store.facts("first") is None
    assert store.customer("Ada") is None


def test_what_was_published_is_read_back_exactly(store: Store) -> None:
    run = a_run(preceding="zeroth", value_basis=None)
    store.publish(run, iter([rows(BOB), rows(ADA).to_batches()[0]]), facts=FACTS)
    found = store.published("first")
    assert found is not None
    assert found.published_at is not None
    assert found.published_at.utcoffset() == timedelta(0)
    assert found == a_run(preceding="zeroth", value_basis=None, published_at=found.published_at)
    assert store.latest() == found
    assert store.facts("first") == FACTS
    assert pa.Table.from_batches(store.scores("first")).to_pylist() == [ADA, BOB]


def test_a_customer_is_a_row_of_the_output_table_in_its_order(store: Store) -> None:
    publish(store)
    assert list(store.customer("Ada").items()) == [
        ("customer_id", "Ada"),
        ("as_of", NIGHT),
        ("run_id", "first"),
        ("model_version", "3"),
        ("bundle_digest", "d1"),
        ("setting", "transactional"),
        ("horizon_days", 90),
        ("currency", "GBP"),
        ("churn_risk", 0.25),
        ("churn_risk_percentile", 50.0),
        ("expected_orders", 1.5),
        ("expected_value", 0.1 + 0.2),
        ("value_low", 0.0),
        ("value_high", 1.0),
        ("clv", 1e-300),
        ("historic_value", 1e15 + 0.125),
        ("next_order_date", date(2024, 2, 29)),
        ("potential_score", 99.5),
        ("value_tier", "high"),
        ("loyalty_tier", "loyal"),
        ("lifecycle_stage", "established"),
        ("is_base_customer", True),
        ("need", "service"),
        ("main_category", "teapots"),
        ("frequency_band", "high"),
        ("monetary_band", "medium"),
        ("previous_value_tier", "ordinary"),
        ("tier_changed_at", datetime(2024, 2, 1, 5, 6, 7, 8, tzinfo=UTC)),
        ("transition_reason", None),
        ("value_basis", "revenue"),
        ("confidence", "A"),
        ("reasons", REASONS),
    ]
    assert store.customer(BOB["customer_id"])["clv"] is None
    assert store.customer("Eve") is None


def test_publishing_a_run_again_changes_nothing(store: Store) -> None:
    publish(store)
    before = store.latest()
    publish(store, churn_risk=0.75)
    assert risk_of_ada(store) == 0.25
    assert store.latest() == before


def test_the_latest_run_is_that_of_the_latest_cutoff_whenever_it_was_published(store: Store) -> None:
    publish(store, "today")
    publish(store, "yesterday", as_of=NIGHT - timedelta(days=1), churn_risk=0.75)
    assert store.latest().run_id == "today"
    assert risk_of_ada(store) == 0.25
    assert store.latest(before=NIGHT).run_id == "yesterday"
    assert store.latest(before=NIGHT - timedelta(days=1)) is None
    assert [run.run_id for run in store.runs()] == ["yesterday", "today"]


def test_of_two_runs_at_one_cutoff_the_last_published_counts(store: Store) -> None:
    publish(store, "z")
    publish(store, "a", churn_risk=0.75)
    assert store.latest().run_id == "a"
    assert store.runs() == [store.latest()]
    assert risk_of_ada(store) == 0.75


def test_a_customer_who_is_not_in_the_latest_run_has_no_row(store: Store) -> None:
    publish(store)
    store.publish(a_run("next", as_of=NIGHT + timedelta(days=1), customers=1), [rows(BOB)], facts={})
    assert store.customer("Ada") is None


def test_scores_come_in_chunks_in_the_order_of_the_bytes_of_the_ids(store: Store) -> None:
    ids = [f"{'zaZä'[number % 4]}{number}" for number in range(2 * CHUNK_ROWS)]
    store.publish(a_run(customers=len(ids)), [rows(*({**ADA, "customer_id": one} for one in ids))], facts={})
    read = [one for batch in store.scores("first") for one in batch["customer_id"].to_pylist()]
    assert read == sorted(ids)


def test_a_run_without_customers_is_a_run(store: Store) -> None:
    store.publish(a_run(customers=0), [], facts={})
    assert store.latest().customers == 0
    assert pa.Table.from_batches(store.scores("first")).num_rows == 0


@pytest.mark.parametrize("given", [1, 3])
def test_a_run_with_rows_missing_or_too_many_is_not_published(store: Store, given: int) -> None:
    people = [ADA | {"customer_id": str(number)} for number in range(given)]
    with pytest.raises(ValueError, match=f"run 'first': {given} rows of scores for 2 customers"):
        store.publish(a_run(), [rows(*people)], facts={})
    assert store.latest() is None


def test_an_error_halfway_leaves_the_last_run_and_the_next_try_works(store: Store) -> None:
    def half() -> Iterator[pa.Table]:
        yield rows(ADA | {"churn_risk": 0.75})
        raise ZeroDivisionError

    publish(store)
    later = a_run("next", as_of=NIGHT + timedelta(days=1))
    with pytest.raises(ZeroDivisionError):
        store.publish(later, half(), facts={})
    assert store.latest().run_id == "first"
    assert risk_of_ada(store) == 0.25
    publish(store, "next", as_of=NIGHT + timedelta(days=1), churn_risk=0.75)
    assert risk_of_ada(store) == 0.75


def test_readers_see_the_last_run_until_the_next_is_whole(store: Store, url: str) -> None:
    seen = []

    def watched() -> Iterator[pa.Table]:
        for person in (ADA | {"churn_risk": 0.75}, BOB):
            yield rows(person)
            with Store.open(url, wait_seconds=0) as reader:
                seen.append((reader.latest().run_id, risk_of_ada(reader), risk_of_ada(store)))

    publish(store)
    store.publish(a_run("next", as_of=NIGHT + timedelta(days=1)), watched(), facts={})
    assert seen == [("first", 0.25, 0.25)] * 2
    assert risk_of_ada(store) == 0.75


def test_a_second_writer_waits_only_so_long(store: Store, url: str) -> None:
    def contested() -> Iterator[pa.Table]:
        with (
            Store.open(url, wait_seconds=0) as other,
            pytest.raises(StoreError, match=r"^store '.*' is locked by another process .*; wait until"),
        ):
            publish(other, "second")
        yield rows(ADA, BOB)

    store.publish(a_run(), contested(), facts={})
    assert store.published("first") is not None
    assert store.published("second") is None


def test_many_writers_of_one_run_publish_it_once(store: Store, url: str) -> None:
    def write() -> None:
        with Store.open(url) as own:
            publish(own)

    writers = [Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert pa.Table.from_batches(store.scores("first")).to_pylist() == [ADA, BOB]


def test_columns_of_the_run_may_stand_beside_the_scores(store: Store) -> None:
    table = rows(ADA, BOB).append_column("model_version", pa.array(["3", "3"]))
    store.publish(a_run(), [table], facts={})
    assert store.customer("Ada")["model_version"] == "3"


def test_a_column_that_the_store_does_not_keep_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"no column for \['mood'\]"):
        store.publish(a_run(), [rows(ADA | {"mood": 1}, BOB | {"mood": 2})], facts={})


def test_a_missing_column_is_refused(store: Store) -> None:
    with pytest.raises(KeyError, match="clv"):
        store.publish(a_run(), [rows(ADA, BOB).drop_columns("clv")], facts={})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(store: Store, number: float) -> None:
    with pytest.raises(ValueError, match="column 'clv' of the scores holds a number that is not finite"):
        publish(store, clv=number)
    with pytest.raises(Exception, match="JSON compliant"):
        store.publish(a_run(), [rows(ADA, BOB)], facts={"grid": [number]})
    assert store.latest() is None


def test_pruning_removes_old_scores_but_no_run(store: Store) -> None:
    for night in range(3):
        publish(store, f"night-{night}", as_of=NIGHT + timedelta(days=night))
    store.prune(keep=2)
    with pytest.raises(LookupError, match="run 'night-0' has no scores"):
        store.scores("night-0")
    assert store.latest(before=NIGHT + timedelta(days=1)).run_id == "night-0"
    assert store.facts("night-0") == FACTS
    assert pa.Table.from_batches(store.scores("night-1")).num_rows == 2
    assert risk_of_ada(store) == 0.25


def test_pruning_while_scores_are_read_is_noticed(store: Store) -> None:
    people = [{**ADA, "customer_id": str(number)} for number in range(CHUNK_ROWS + 1)]
    store.publish(a_run(customers=len(people)), [rows(*people)], facts={})
    publish(store, "next", as_of=NIGHT + timedelta(days=1))
    scores = store.scores("first")
    assert next(scores).num_rows == CHUNK_ROWS
    store.prune(keep=1)
    with pytest.raises(LookupError, match="1 scores of the run were pruned while they were read"):
        list(scores)


def test_scores_of_an_unknown_run_and_keeping_nothing_are_refused(store: Store) -> None:
    with pytest.raises(LookupError, match="run 'nought' has no scores"):
        store.scores("nought")
    with pytest.raises(ValueError, match="keep is 0"):
        store.prune(keep=0)


def test_a_file_named_with_signs_that_mean_something_in_urls(tmp_path: Path) -> None:
    path = tmp_path / "50% off?#é.db"
    with Store.open(path) as store:
        publish(store)
    with Store.open(path) as store:
        assert risk_of_ada(store) == 0.25
