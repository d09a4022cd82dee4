import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from serving.database import StoreError
from serving.standings import MOVES
from serving.store import Store
from tests.serving.runs import a_run

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def publish(store: Store, week: int, *moves: tuple[str | None, ...], again: str = "") -> None:
    """Publish a run of a week; a move is customer, name, previous."""
    as_of = MONDAY + week * WEEK
    preceding = store.latest(before=as_of)
    before = preceding.run_id if preceding else None
    run = a_run(f"week {week}{again}", as_of=as_of, customers=0, preceding=before)
    store.publish(run, [], facts={}, moves=table(*moves))


def table(*moves: tuple[str | None, ...]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"customer_id": who, "kind": "value_tier", "name": name, "previous": previous}
            | {"reason": json.dumps({"why": name}) if previous else None}
            for who, name, previous in moves
        ],
        schema=MOVES,
    )


def standing(store: Store, week: float) -> dict[str, str]:
    found = store.standing(before=MONDAY + week * WEEK)
    return dict(zip(found["customer_id"].to_pylist(), found["name"].to_pylist(), strict=True))


def lives(store: Store) -> list[tuple[object, ...]]:
    """Return who was in which tier, from week to week."""
    rows = store.periods(kind="value_tier").sort_by(
        [("customer_id", "ascending"), ("started_at", "ascending")]
    )
    return [
        (row["customer_id"], row["name"], week(row["started_at"]), week(row["ended_at"]))
        for row in rows.to_pylist()
    ]


def week(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - MONDAY) // WEEK


def test_a_move_ends_one_period_and_begins_the_next(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None), ("Bob", "low", None))
    publish(store, 1, ("Ada", "high", "low"))
    assert lives(store) == [("Ada", "low", 0, 1), ("Ada", "high", 1, None), ("Bob", "low", 0, None)]
    assert standing(store, 1) == {"Ada": "low", "Bob": "low"}
    assert standing(store, 1.5) == {"Ada": "high", "Bob": "low"}
    assert standing(store, 0) == {}


def test_a_period_tells_its_run_and_its_reason(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None))
    publish(store, 1, ("Ada", "high", "low"))
    first, second = store.customer_periods("Ada").to_pylist()
    assert (first["run_id"], first["previous"], first["reason"]) == ("week 0", None, None)
    assert (second["run_id"], second["previous"], second["reason"]) == ("week 1", "low", '{"why": "high"}')
    assert store.customer_periods("Eve").num_rows == 0


def test_who_vanished_stands_nowhere_until_found_again(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None))
    publish(store, 1, ("Ada", None, "low"))
    publish(store, 2, ("Ada", "high", None))
    assert lives(store) == [("Ada", "low", 0, 1), ("Ada", "high", 2, None)]
    assert standing(store, 1.5) == {}


def test_a_run_of_the_past_rewrites_no_newer_standing(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None))
    publish(store, 2, ("Ada", "high", "low"))
    before = lives(store)
    publish(store, 1, ("Ada", "gold", "low"), ("Bob", "low", None))
    assert lives(store) == before


def test_a_second_run_of_the_same_moment_replaces_what_the_first_moved(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None), ("Bob", "low", None))
    publish(store, 1, ("Ada", "high", "low"))
    publish(store, 1, ("Bob", "high", "low"), again=" again")
    assert lives(store) == [("Ada", "low", 0, None), ("Bob", "low", 0, 1), ("Bob", "high", 1, None)]


def test_a_tier_that_was_renamed_stays_readable(store: Store) -> None:
    publish(store, 0, ("Ada", "gold", None))
    publish(store, 1, ("Ada", "strategic", "gold"))
    assert [name for _, name, _, _ in lives(store)] == ["gold", "strategic"]


def test_of_two_runs_made_at_once_the_second_is_refused_whole(store: Store) -> None:
    publish(store, 0, ("Ada", "low", None))
    late = a_run("late", as_of=MONDAY + 2 * WEEK, customers=0, preceding="week 0")
    publish(store, 1, ("Ada", "high", "low"))
    with pytest.raises(StoreError, match=r"run 'week 1' was published while this one was made.*score again"):
        store.publish(late, [], facts={}, moves=table(("Ada", "gold", "low")))
    assert store.latest().run_id == "week 1"
    assert lives(store) == [("Ada", "low", 0, 1), ("Ada", "high", 1, None)]
